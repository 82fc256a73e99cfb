#include "kernels/bilinear.h"

#include "cuda/interpolate.cuh"

namespace mglmm::cuda {
namespace {

constexpr int kThreads = 256;

struct Sizes {
  int64_t planes, height, width;
  Resize rows, columns;
};

template <typename T>
__global__ void __launch_bounds__(kThreads) forward_kernel(Sizes s, const T* x, T* y) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= s.planes * s.height * s.width) return;
  const T* plane = x + i / s.width / s.height * s.rows.in * s.columns.in;
  put(y[i], interpolate(s.rows.at(i / s.width % s.height), s.columns.at(i % s.width),
                        [&](int64_t row, int64_t column) { return to_float(plane[row * s.columns.in + column]); }));
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
  if (i >= s.planes * s.rows.in * s.columns.in) return;
  const int64_t column = i % s.columns.in;
  const int64_t row = i / s.columns.in % s.rows.in;
  const T* plane = dy + i / s.columns.in / s.rows.in * s.height * s.width;
  const Readers down = readers(row, s.rows.in, s.height);
  const Readers across = readers(column, s.columns.in, s.width);
  float sum = 0;
  for (int64_t r = down.begin; r < down.end; ++r) {
    const float part = share(row, s.rows.at(r));
    if (part == 0.0F) continue;
    float line = 0;
    for (int64_t c = across.begin; c < across.end; ++c) {
      const float weight = share(column, s.columns.at(c));
      if (weight != 0.0F) line += weight * to_float(plane[r * s.width + c]);
    }
    sum += part * line;
  }
  put(dx[i], sum);
}

Sizes sizes_of(const ConstTensor& x, int64_t height, int64_t width) {
  return {x.shape.count(0, x.shape.rank - 2), height, width, {x.shape[-2], height}, {x.shape[-1], width}};
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
