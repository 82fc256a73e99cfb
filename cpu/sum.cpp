#include "kernels/sum.h"

#include "cpu/elementwise.h"
#include "cpu/reduce.h"

namespace mglmm::cpu {
namespace {

float factor_of(const Axes& axes, bool mean) { return mean ? 1.0F / static_cast<float>(axes.count_of(true)) : 1.0F; }

}  // namespace

void run(const Sum& op, Stream& stream) {
  const Axes axes = summed_axes(op.x.shape, op.axes);
  const float factor = factor_of(axes, op.mean);
  by_dtype(op.x.dtype, [&]<typename T>(Type<T>) {
    const T* x = op.x.data<T>();
    T* y = op.y.data<T>();
    sum_over(
        axes, stream, [=](int64_t i, auto... lanes) { return load(x + i, lanes...); },
        [=](int64_t j, vfloat sum, auto... lanes) { store(y + j, sum * factor, lanes...); });
  });
}

void run(const SumBackward& op, Stream&) {
  const Axes axes = summed_axes(op.shape, op.axes);
  const float factor = factor_of(axes, op.mean);
  by_dtype(op.dy.dtype, [&]<typename T>(Type<T>) {
    const T* dy = op.dy.data<T>();
    T* dx = op.dx.data<T>();
    const bool wide = axes.wide[axes.last()];
    parallel_ranges(op.dx.count(), kElementGrain, [=](int64_t begin, int64_t end) {
      by_rows(axes, begin, end, [=](int64_t first, int64_t other, int64_t count) {
        by_lanes(0, count, [=](int64_t i, auto... lanes) {
          const vfloat d = wide ? splat(dy[other]) : load(dy + other + i, lanes...);
          store(dx + first + i, d * factor, lanes...);
        });
      });
    });
  });
}

}  // namespace mglmm::cpu
