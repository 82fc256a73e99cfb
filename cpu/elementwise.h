// y[i] = formula(a[i], b[j]) with b broadcast to a.
#pragma once
#include "cpu/axes.h"
#include "cpu/parallel.h"
#include "cpu/simd.h"

namespace mglmm::cpu {

template <typename T, typename Formula>
void broadcast(const Axes& axes, const T* a, const T* b, T* y, Formula formula) {
  const bool wide = axes.wide[axes.last()];
  parallel_ranges(axes.count(), kElementGrain, [=](int64_t begin, int64_t end) {
    by_rows(axes, begin, end, [=](int64_t first, int64_t other, int64_t count) {
      if (wide) {
        const vfloat second = splat(b[other]);
        by_lanes(0, count, [=](int64_t i, auto... lanes) {
          store(y + first + i, formula(load(a + first + i, lanes...), second), lanes...);
        });
      } else {
        by_lanes(0, count, [=](int64_t i, auto... lanes) {
          store(y + first + i, formula(load(a + first + i, lanes...), load(b + other + i, lanes...)), lanes...);
        });
      }
    });
  });
}

}  // namespace mglmm::cpu
