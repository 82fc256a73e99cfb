// Elementwise functions of one tensor and their gradients.
#pragma once
#include "cpu/parallel.h"
#include "cpu/simd.h"
#include "kernels/stream.h"

namespace mglmm::cpu {

// y = formula(x)
template <typename Op, typename Formula>
void activate(const Op& op, Formula formula) {
  by_dtype(op.x.dtype, [&]<typename T>(Type<T>) {
    const T* x = op.x.template data<T>();
    T* y = op.y.template data<T>();
    parallel_ranges(op.y.count(), kElementGrain, [=](int64_t begin, int64_t end) {
      by_lanes(begin, end, [=](int64_t i, auto... lanes) { store(y + i, formula(load(x + i, lanes...)), lanes...); });
    });
  });
}

// dx = formula(x, dy)
template <typename Op, typename Formula>
void activate_backward(const Op& op, Formula formula) {
  if (!op.dx) return;
  by_dtype(op.x.dtype, [&]<typename T>(Type<T>) {
    const T* x = op.x.template data<T>();
    const T* dy = op.dy.template data<T>();
    T* dx = op.dx.template data<T>();
    parallel_ranges(op.dx.count(), kElementGrain, [=](int64_t begin, int64_t end) {
      by_lanes(begin, end, [=](int64_t i, auto... lanes) {
        store(dx + i, formula(load(x + i, lanes...), load(dy + i, lanes...)), lanes...);
      });
    });
  });
}

}  // namespace mglmm::cpu
