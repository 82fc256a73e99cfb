// Blocks do not overlap, so that the values of a pixel's block are a column of the product weight^T x, an image at a time.
#include "kernels/conv_transpose2d.h"

#include "cuda/map.cuh"
#include "cuda/product.h"
#include "cuda/sums.cuh"

namespace mglmm::cuda {
namespace {

constexpr int kThreads = 256;

struct Sizes {
  int64_t batch, in, height, width, out, k;
  Sizes(const Shape& x, const Shape& weight)
      : batch(x[0]), in(x[1]), height(x[2]), width(x[3]), out(weight[1]), k(weight[2]) {}
  __device__ __host__ int64_t pixels() const { return height * width; }
  int64_t column() const { return out * k * k; }
  int64_t image() const { return column() * pixels(); }
  // Of element i of an image y [out, k height, k width], its place in the matrix [out k k, pixels].
  __device__ int64_t place(int64_t i) const {
    const int64_t column = i % (k * width);
    const int64_t row = i / (k * width) % (k * height);
    const int64_t channel = i / (k * width) / (k * height);
    return (channel * k * k + row % k * k + column % k) * pixels() + row / k * width + column / k;
  }
};

template <typename T>
__global__ void __launch_bounds__(kThreads)
    spread_kernel(Sizes s, int64_t count, const float* columns, const T* bias, T* y) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= count) return;
  const float added = bias == nullptr ? 0.0F : to_float(bias[i / (s.k * s.k * s.pixels())]);
  put(y[i], columns[s.place(i)] + added);
}

template <typename T>
__global__ void __launch_bounds__(kThreads) collect_kernel(Sizes s, int64_t count, const T* dy, T* columns) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i < count) columns[s.place(i)] = dy[i];
}

struct Same {
  __device__ float operator()(float x) const { return x; }
};

}  // namespace

void run(const ConvTranspose2d& op, CudaStream& stream) {
  const Sizes s(op.x.shape, op.weight.shape);
  by_dtype(op.x.dtype, [&]<typename T>(Type<T>) {
    for (int64_t n = 0; n < s.batch; ++n) {
      const ScratchScope scope(stream);
      float* columns = stream.scratch_of<float>(s.image());
      const T* x = op.x.data<T>() + n * s.in * s.pixels();
      product(stream, {.rows = s.column(), .columns = s.pixels(), .inner = s.in, .a_transposed = true, .dtype = op.x.dtype},
              op.weight.raw(), reinterpret_cast<const std::byte*>(x), nullptr, reinterpret_cast<std::byte*>(columns));
      launch(stream, spread_kernel<T>, {.blocks = blocks_for(s.image(), kThreads), .threads = kThreads}, s, s.image(),
             columns, op.bias ? op.bias->data<T>() : nullptr, op.y.data<T>() + n * s.image());
    }
  });
}

void run(const ConvTranspose2dBackward& op, CudaStream& stream) {
  const Sizes s(op.x.shape, op.weight.shape);
  const Dtype dtype = op.x.dtype;
  by_dtype(dtype, [&]<typename T>(Type<T>) {
    const T* dy = op.dy.data<T>();
    float* dweight = op.dweight ? stream.scratch_of<float>(op.dweight.count()) : nullptr;  // f32 over the batch
    for (int64_t n = 0; n < s.batch && (op.dx || op.dweight); ++n) {
      const ScratchScope scope(stream);
      T* columns = stream.scratch_of<T>(s.image());
      const std::byte* gathered = reinterpret_cast<const std::byte*>(columns);
      launch(stream, collect_kernel<T>, {.blocks = blocks_for(s.image(), kThreads), .threads = kThreads}, s, s.image(),
             dy + n * s.image(), columns);
      if (op.dx) {
        T* dx = op.dx.data<T>() + n * s.in * s.pixels();
        product(stream, {.rows = s.in, .columns = s.pixels(), .inner = s.column(), .dtype = dtype, .result = dtype},
                op.weight.raw(), gathered, nullptr, reinterpret_cast<std::byte*>(dx));
      }
      if (op.dweight) {
        const T* x = op.x.data<T>() + n * s.in * s.pixels();
        product(stream,
                {.rows = s.in,
                 .columns = s.column(),
                 .inner = s.pixels(),
                 .b_transposed = true,
                 .dtype = dtype,
                 .addend = n > 0 ? reinterpret_cast<const std::byte*>(dweight) : nullptr},
                reinterpret_cast<const std::byte*>(x), gathered, nullptr, reinterpret_cast<std::byte*>(dweight));
      }
    }
    if (op.dweight && s.batch == 0) stream.clear(op.dweight.raw(), op.dweight.bytes());
    if (op.dweight && s.batch > 0) map(stream, op.dweight.count(), Same{}, op.dweight.data<T>(), dweight);
    if (op.dbias) {
      Axes axes;  // over batch and pixels
      axes.push(s.batch, true);
      axes.push(s.out, false);
      axes.push(s.k * s.k * s.pixels(), true);
      axes.finish();
      sum_over(stream, axes, ValueAt<T>{dy}, StoreSum<T>{op.dbias.data<T>()});
    }
  });
}

}  // namespace mglmm::cuda
