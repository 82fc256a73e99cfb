#include "kernels/rms_norm.h"

#include <cmath>

#include "cpu/partial_sums.h"

namespace mglmm::cpu {
namespace {

template <typename T>
float mean_square(const T* x, int64_t dim) {
  const float total = sum_by_lanes(0, dim, [=](int64_t i, auto... lanes) {
    const vfloat v = load(x + i, lanes...);
    return v * v;
  });
  return total / static_cast<float>(dim);
}

}  // namespace

void run(const RmsNorm& op, Stream&) {
  const int64_t dim = op.x.shape[-1];
  if (op.x.count() == 0) return;
  by_dtype(op.x.dtype, [&]<typename T>(Type<T>) {
    const T* x = op.x.data<T>();
    const T* weight = op.weight.data<T>();
    T* y = op.y.data<T>();
    float* saved = op.rstd ? op.rstd.data<float>() : nullptr;
    const float eps = op.eps;
    parallel_ranges(op.x.count() / dim, std::max<int64_t>(1, kElementGrain / dim), [=](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        const T* from = x + row * dim;
        T* to = y + row * dim;
        const float rstd = 1.0F / std::sqrt(mean_square(from, dim) + eps);
        if (saved) saved[row] = rstd;
        by_lanes(0, dim, [=](int64_t i, auto... lanes) {
          store(to + i, load(from + i, lanes...) * rstd * load(weight + i, lanes...), lanes...);
        });
      }
    });
  });
}

void run(const RmsNormBackward& op, Stream& stream) {
  const int64_t dim = op.x.shape[-1];
  if (dim == 0) return;
  const PartialSums sums(stream, op.x.count() / dim, dim);
  by_dtype(op.x.dtype, [&]<typename T>(Type<T>) {
    const T* weight = op.weight.data<T>();
    const float* rstds = op.rstd.data<float>();
    const bool wants_weight = static_cast<bool>(op.dweight);
    sums.by_pieces(dim, [&](int64_t first, int64_t last, float* dweight) {
      for (int64_t row = first; row < last; ++row) {
        const T* dy = op.dy.data<T>() + row * dim;
        const T* x = op.x.data<T>() + row * dim;
        const float rstd = rstds[row];
        const float along = sum_by_lanes(0, dim, [=](int64_t i, auto... lanes) {  // of g with x
          const vfloat d = load(dy + i, lanes...);
          const vfloat v = load(x + i, lanes...);
          if (wants_weight) store(dweight + i, load(dweight + i, lanes...) + d * v * rstd, lanes...);
          return d * load(weight + i, lanes...) * v;
        });
        if (!op.dx) continue;
        T* dx = op.dx.data<T>() + row * dim;
        const float back = along * rstd * rstd / static_cast<float>(dim);
        by_lanes(0, dim, [=](int64_t i, auto... lanes) {
          store(dx + i, rstd * (load(dy + i, lanes...) * load(weight + i, lanes...) - load(x + i, lanes...) * back),
                lanes...);
        });
      }
    });
    if (wants_weight) sums.finish(0, dim, op.dweight.data<T>());
  });
}

}  // namespace mglmm::cpu
