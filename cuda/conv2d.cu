// A convolution as a product: the pixels under the kernel at each place make a column of a matrix [in kh kw, places], an
// image at a time. A kernel of 1 x 1 with stride 1 is a product as it is.
#include "kernels/conv2d.h"

#include "cuda/map.cuh"
#include "cuda/product.h"
#include "cuda/sums.cuh"

namespace mglmm::cuda {
namespace {

constexpr int kThreads = 256;

struct Sizes {
  int64_t batch, in, height, width, out, kernel_height, kernel_width, stride, padding, out_height, out_width;

  Sizes(const Shape& x, const Shape& weight, int64_t step, int64_t border)
      : batch(x[0]),
        in(x[1]),
        height(x[2]),
        width(x[3]),
        out(weight[0]),
        kernel_height(weight[2]),
        kernel_width(weight[3]),
        stride(step),
        padding(border),
        out_height((height + 2 * padding - kernel_height) / stride + 1),
        out_width((width + 2 * padding - kernel_width) / stride + 1) {}
  __device__ __host__ int64_t area() const { return kernel_height * kernel_width; }
  __device__ __host__ int64_t places() const { return out_height * out_width; }
  int64_t column() const { return in * area(); }
  bool is_product() const { return area() == 1 && stride == 1 && padding == 0; }
};

// A thread an element of the matrix.
template <typename T>
__global__ void __launch_bounds__(kThreads) columns_kernel(Sizes s, const T* x, T* columns) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= s.in * s.area() * s.places()) return;
  const int64_t place = i % s.places();
  const int64_t tap = i / s.places() % s.area();
  const int64_t channel = i / s.places() / s.area();
  const int64_t row = place / s.out_width * s.stride + tap / s.kernel_width - s.padding;
  const int64_t column = place % s.out_width * s.stride + tap % s.kernel_width - s.padding;
  const bool inside = row >= 0 && row < s.height && column >= 0 && column < s.width;
  columns[i] = inside ? x[(channel * s.height + row) * s.width + column] : T{};
}

// Back: a thread a pixel, which gathers what the places it was under have for it.
template <typename T>
__global__ void __launch_bounds__(kThreads) pixels_kernel(Sizes s, const float* columns, T* dx) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= s.in * s.height * s.width) return;
  const int64_t column = i % s.width + s.padding;
  const int64_t row = i / s.width % s.height + s.padding;
  const int64_t channel = i / s.width / s.height;
  float sum = 0;
  for (int64_t u = 0; u < s.kernel_height; ++u) {
    const int64_t r = row - u;
    if (r < 0 || r % s.stride != 0 || r / s.stride >= s.out_height) continue;
    for (int64_t v = 0; v < s.kernel_width; ++v) {
      const int64_t c = column - v;
      if (c < 0 || c % s.stride != 0 || c / s.stride >= s.out_width) continue;
      const int64_t tap = channel * s.area() + u * s.kernel_width + v;
      sum += columns[tap * s.places() + r / s.stride * s.out_width + c / s.stride];
    }
  }
  put(dx[i], sum);
}

template <typename T>
const T* columns_of(CudaStream& stream, const Sizes& s, const T* x) {
  if (s.is_product()) return x;
  const int64_t count = s.column() * s.places();
  T* columns = stream.scratch_of<T>(count);
  launch(stream, columns_kernel<T>, {.blocks = blocks_for(count, kThreads), .threads = kThreads}, s, x, columns);
  return columns;
}

template <typename T>
const std::byte* bytes(const T* values) {
  return reinterpret_cast<const std::byte*>(values);
}

// Rounded once, after the bias.
template <typename T>
__global__ void __launch_bounds__(kThreads)
    bias_kernel(int64_t count, int64_t places, const float* sums, const T* bias, T* y) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i < count) put(y[i], sums[i] + to_float(bias[i / places]));
}

struct Same {
  __device__ float operator()(float x) const { return x; }
};

}  // namespace

void run(const Conv2d& op, CudaStream& stream) {
  const Sizes s(op.x.shape, op.weight.shape, op.stride, op.padding);
  by_dtype(op.x.dtype, [&]<typename T>(Type<T>) {
    const int64_t count = s.out * s.places();
    for (int64_t n = 0; n < s.batch; ++n) {
      const ScratchScope scope(stream);
      T* y = op.y.data<T>() + n * count;
      float* sums = op.bias ? stream.scratch_of<float>(count) : nullptr;
      product(stream,
              {.rows = s.out,
               .columns = s.places(),
               .inner = s.column(),
               .dtype = op.x.dtype,
               .result = op.bias ? Dtype::f32 : op.x.dtype},
              op.weight.raw(), bytes(columns_of(stream, s, op.x.data<T>() + n * s.in * s.height * s.width)), nullptr,
              op.bias ? reinterpret_cast<std::byte*>(sums) : reinterpret_cast<std::byte*>(y));
      if (!op.bias) continue;
      launch(stream, bias_kernel<T>, {.blocks = blocks_for(count, kThreads), .threads = kThreads}, count, s.places(), sums,
             op.bias->data<T>(), y);
    }
  });
}

void run(const Conv2dBackward& op, CudaStream& stream) {
  const Sizes s(op.x.shape, op.weight.shape, op.stride, op.padding);
  const Dtype dtype = op.x.dtype;
  by_dtype(dtype, [&]<typename T>(Type<T>) {
    const T* dy = op.dy.data<T>();
    float* dweight = op.dweight ? stream.scratch_of<float>(s.out * s.column()) : nullptr;  // f32 over the batch
    for (int64_t n = 0; n < s.batch; ++n) {
      const ScratchScope scope(stream);
      const std::byte* upstream = bytes(dy + n * s.out * s.places());
      if (op.dx) {
        const int64_t count = s.in * s.height * s.width;
        float* columns = stream.scratch_of<float>(s.column() * s.places());
        product(stream, {.rows = s.column(), .columns = s.places(), .inner = s.out, .a_transposed = true, .dtype = dtype},
                op.weight.raw(), upstream, nullptr, reinterpret_cast<std::byte*>(columns));
        launch(stream, pixels_kernel<T>, {.blocks = blocks_for(count, kThreads), .threads = kThreads}, s, columns,
               op.dx.data<T>() + n * count);
      }
      if (op.dweight) {
        product(stream,
                {.rows = s.out,
                 .columns = s.column(),
                 .inner = s.places(),
                 .b_transposed = true,
                 .dtype = dtype,
                 .addend = n > 0 ? bytes(dweight) : nullptr},
                upstream, bytes(columns_of(stream, s, op.x.data<T>() + n * s.in * s.height * s.width)), nullptr,
                reinterpret_cast<std::byte*>(dweight));
      }
    }
    if (op.dweight && s.batch == 0) stream.clear(op.dweight.raw(), op.dweight.bytes());
    if (op.dweight && s.batch > 0) map(stream, op.dweight.count(), Same{}, op.dweight.data<T>(), dweight);
    if (op.dbias) {
      Axes axes;  // over batch and places
      axes.push(s.batch, true);
      axes.push(s.out, false);
      axes.push(s.places(), true);
      axes.finish();
      sum_over(stream, axes, ValueAt<T>{dy}, StoreSum<T>{op.dbias.data<T>()});
    }
  });
}

}  // namespace mglmm::cuda
