// Elementwise functions of one tensor and their gradients.
#pragma once
#include "cuda/map.cuh"

namespace mglmm::cuda {

// y = formula(x)
template <typename Op, typename Formula>
void activate(const Op& op, CudaStream& stream, Formula formula) {
  by_dtype(op.x.dtype, [&]<typename T>(Type<T>) {
    map(stream, op.y.count(), formula, op.y.template data<T>(), op.x.template data<T>());
  });
}

// dx = formula(x, dy)
template <typename Op, typename Formula>
void activate_backward(const Op& op, CudaStream& stream, Formula formula) {
  if (!op.dx) return;
  by_dtype(op.x.dtype, [&]<typename T>(Type<T>) {
    map(stream, op.dx.count(), formula, op.dx.template data<T>(), op.x.template data<T>(), op.dy.template data<T>());
  });
}

// P(X <= x), by the complementary error function, which keeps its digits far below 0.
__device__ __forceinline__ float normal_probability(float x) { return 0.5F * erfcf(x * -0.707106781F); }
__device__ __forceinline__ float gelu(float x) { return x * normal_probability(x); }
__device__ __forceinline__ float sigmoid(float x) { return 1.0F / (1.0F + expf(-x)); }

}  // namespace mglmm::cuda
