// y[i] = formula(a[i], b[j]) with b broadcast to a.
#pragma once
#include "cpu/parallel.h"
#include "cpu/past_caches.h"
#include "kernels/axes.h"

namespace mglmm::cpu {

template <typename T, typename Formula>
void broadcast(const Axes& axes, const T* a, const T* b, T* y, Formula formula) {
  const bool wide = axes.wide[axes.last()];
  const bool past_caches = exceeds_caches(axes.count() * static_cast<int64_t>(sizeof(T)));
  parallel_ranges(axes.count(), kElementGrain, [=](int64_t begin, int64_t end) {
    by_rows(axes, begin, end, [=](int64_t first, int64_t other, int64_t count) {
      if (wide) {
        const vfloat second = splat(b[other]);
        store_by_lanes(y + first, 0, count, past_caches,
                       [=](int64_t i, auto... lanes) { return formula(load(a + first + i, lanes...), second); });
      } else {
        store_by_lanes(y + first, 0, count, past_caches, [=](int64_t i, auto... lanes) {
          return formula(load(a + first + i, lanes...), load(b + other + i, lanes...));
        });
      }
    });
    fence_past_caches();
  });
}

}  // namespace mglmm::cpu
