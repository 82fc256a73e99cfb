#include "kernels/bilinear.h"

#include "cuda/number.cuh"

namespace mglmm::cuda {
namespace {

constexpr int kThreads = 256;

// Between which two pixels an output position lies, and how far along.
struct Between {
  int64_t low, high;
  float weight;  // of high
};
__device__ __forceinline__ Between between(int64_t i, int64_t in, int64_t out) {
  const double scale = static_cast<double>(in) / static_cast<double>(out);
  const double at = (static_cast<double>(i) + 0.5) * scale - 0.5;
  const double source = at > 0 ? at : 0;
  const auto low = static_cast<int64_t>(source);
  if (low >= in - 1) return {in - 1, in - 1, 0};
  return {low, low + 1, static_cast<float>(source - static_cast<double>(low))};
}

struct Sizes {
  int64_t planes, in_height, in_width, height, width;
};

template <typename T>
__global__ void __launch_bounds__(kThreads) forward_kernel(Sizes s, const T* x, T* y) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= s.planes * s.height * s.width) return;
  const Between across = between(i % s.width, s.in_width, s.width);
  const Between down = between(i / s.width % s.height, s.in_height, s.height);
  const T* plane = x + i / s.width / s.height * s.in_height * s.in_width;
  const auto row = [&](int64_t at) {
    const float left = to_float(plane[at * s.in_width + across.low]);
    return left + across.weight * (to_float(plane[at * s.in_width + across.high]) - left);
  };
  const float above = row(down.low);
  put(y[i], above + down.weight * (row(down.high) - above));
}

// The output positions that read a pixel are neighbours; which they are is found by asking those around it.
struct Readers {
  int64_t begin, end;
};
__device__ __forceinline__ Readers readers(int64_t pixel, int64_t in, int64_t out) {
  const double scale = static_cast<double>(out) / static_cast<double>(in);
  const auto begin = static_cast<int64_t>((static_cast<double>(pixel) - 0.5) * scale) - 2;
  const auto end = static_cast<int64_t>((static_cast<double>(pixel) + 1.5) * scale) + 3;
  return {pixel == 0 || begin < 0 ? 0 : begin, pixel == in - 1 || end > out ? out : end};
}
__device__ __forceinline__ float share(int64_t pixel, const Between& of) {
  return (of.low == pixel ? 1.0F - of.weight : 0.0F) + (of.high == pixel ? of.weight : 0.0F);
}

// A thread a pixel of x, which gathers: sums in a fixed order.
template <typename T>
__global__ void __launch_bounds__(kThreads) backward_kernel(Sizes s, const T* dy, T* dx) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= s.planes * s.in_height * s.in_width) return;
  const int64_t column = i % s.in_width;
  const int64_t row = i / s.in_width % s.in_height;
  const T* plane = dy + i / s.in_width / s.in_height * s.height * s.width;
  const Readers down = readers(row, s.in_height, s.height);
  const Readers across = readers(column, s.in_width, s.width);
  float sum = 0;
  for (int64_t r = down.begin; r < down.end; ++r) {
    const float part = share(row, between(r, s.in_height, s.height));
    if (part == 0.0F) continue;
    float line = 0;
    for (int64_t c = across.begin; c < across.end; ++c) {
      const float weight = share(column, between(c, s.in_width, s.width));
      if (weight != 0.0F) line += weight * to_float(plane[r * s.width + c]);
    }
    sum += part * line;
  }
  put(dx[i], sum);
}

Sizes sizes_of(const ConstTensor& x, int64_t height, int64_t width) {
  return {x.shape.count(0, x.shape.rank - 2), x.shape[-2], x.shape[-1], height, width};
}

}  // namespace

void run(const Bilinear& op, CudaStream& stream) {
  by_dtype(op.x.dtype, [&]<typename T>(Type<T>) {
    launch(stream, forward_kernel<T>, {.blocks = blocks_for(op.y.count(), kThreads), .threads = kThreads},
           sizes_of(op.x, op.height, op.width), op.x.data<T>(), op.y.data<T>());
  });
}

void run(const BilinearBackward& op, CudaStream& stream) {
  if (!op.dx) return;
  by_dtype(op.dy.dtype, [&]<typename T>(Type<T>) {
    launch(stream, backward_kernel<T>, {.blocks = blocks_for(op.dx.count(), kThreads), .threads = kThreads},
           sizes_of(op.x, op.height, op.width), op.dy.data<T>(), op.dx.data<T>());
  });
}

}  // namespace mglmm::cuda
