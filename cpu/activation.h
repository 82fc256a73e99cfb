// Elementwise functions of one tensor and their gradients.
#pragma once
#include "cpu/parallel.h"
#include "cpu/past_caches.h"
#include "kernels/stream.h"

namespace mglmm::cpu {

// y = formula(x)
template <typename Op, typename Formula>
void activate(const Op& op, Formula formula) {
  by_dtype(op.x.dtype, [&]<typename T>(Type<T>) {
    const T* x = op.x.template data<T>();
    T* y = op.y.template data<T>();
    const bool past_caches = exceeds_caches(op.y.bytes());
    parallel_ranges(op.y.count(), kElementGrain, [=](int64_t begin, int64_t end) {
      store_by_lanes(y, begin, end, past_caches, [=](int64_t i, auto... lanes) { return formula(load(x + i, lanes...)); });
      fence_past_caches();
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
    const bool past_caches = exceeds_caches(op.dx.bytes());
    parallel_ranges(op.dx.count(), kElementGrain, [=](int64_t begin, int64_t end) {
      store_by_lanes(dx, begin, end, past_caches,
                     [=](int64_t i, auto... lanes) { return formula(load(x + i, lanes...), load(dy + i, lanes...)); });
      fence_past_caches();
    });
  });
}

}  // namespace mglmm::cpu
