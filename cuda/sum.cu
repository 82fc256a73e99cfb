#include "kernels/sum.h"

#include "cuda/broadcast.cuh"
#include "cuda/sums.cuh"

namespace mglmm::cuda {
namespace {

// dy repeated along the summed axes.
template <typename T>
__global__ void __launch_bounds__(kMapThreads)
    repeat_kernel(const __grid_constant__ Axes axes, const T* dy, T* dx, float factor) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kMapThreads + threadIdx.x;
  if (i >= axes.count()) return;
  const int64_t run = axes.size[axes.last()];
  const int64_t row = i / run;
  const int64_t j = axes.smaller_offset(row) + (axes.wide[axes.last()] ? 0 : i - row * run);
  put(dx[i], to_float(dy[j]) * factor);
}

float factor_of(const Axes& axes, bool mean) { return mean ? 1.0F / static_cast<float>(axes.count_of(true)) : 1.0F; }

}  // namespace

void run(const Sum& op, CudaStream& stream) {
  const Axes axes = summed_axes(op.x.shape, op.axes);
  by_dtype(op.x.dtype, [&]<typename T>(Type<T>) {
    sum_over(stream, axes, ValueAt<T>{op.x.data<T>()}, StoreSum<T>{op.y.data<T>(), factor_of(axes, op.mean)});
  });
}

void run(const SumBackward& op, CudaStream& stream) {
  const Axes axes = summed_axes(op.shape, op.axes);
  by_dtype(op.dy.dtype, [&]<typename T>(Type<T>) {
    launch(stream, repeat_kernel<T>, {.blocks = blocks_for(axes.count(), kMapThreads)}, axes, op.dy.data<T>(),
           op.dx.data<T>(), factor_of(axes, op.mean));
  });
}

}  // namespace mglmm::cuda
