#include "kernels/rms_norm.h"

#include <algorithm>
#include <cmath>

#include "cpu/partial_sums.h"

namespace mglmm::cpu {
namespace {

// Of x, or where there is a residual of x + residual, which then is in `sum`, rounded.
template <typename T>
float mean_square(const T* x, const T* residual, T* sum, int64_t dim) {
  const T* normed = residual ? sum : x;
  const float total = sum_by_lanes(0, dim, [=](int64_t i, auto... lanes) {
    if (residual) store(sum + i, load(x + i, lanes...) + load(residual + i, lanes...), lanes...);
    const vfloat v = load(normed + i, lanes...);
    return v * v;
  });
  return total / static_cast<float>(dim);
}

// `residuals` and `sums` are null where x itself is normed.
template <typename T, typename Op>
void normalize(const Op& op, const T* residuals, T* sums) {
  const int64_t dim = op.x.shape[-1];
  const T* x = op.x.template data<T>();
  const T* weight = op.weight.template data<T>();
  T* y = op.y.template data<T>();
  float* saved = op.rstd ? op.rstd.template data<float>() : nullptr;
  const float eps = op.eps;
  parallel_ranges(op.x.count() / dim, std::max<int64_t>(1, kElementGrain / dim), [=](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const T* residual = residuals ? residuals + row * dim : nullptr;
      T* sum = sums ? sums + row * dim : nullptr;
      const float rstd = 1.0F / std::sqrt(mean_square(x + row * dim, residual, sum, dim) + eps);
      if (saved) saved[row] = rstd;
      const T* from = sum ? sum : x + row * dim;
      T* to = y + row * dim;
      by_lanes(0, dim, [=](int64_t i, auto... lanes) {
        store(to + i, load(from + i, lanes...) * rstd * load(weight + i, lanes...), lanes...);
      });
    }
  });
}

// Gradients from dy of the norm of x; `dsums`, unless it is null, is what x gets besides.
template <typename T, typename Op>
void differentiate(const Op& op, const T* dys, const T* dsums, const ConstTensor& normed, Stream& stream) {
  const int64_t dim = normed.shape[-1];
  const PartialSums sums(stream, normed.count() / dim, dim);
  const T* weight = op.weight.template data<T>();
  const float* rstds = op.rstd.template data<float>();
  const bool wants_weight = static_cast<bool>(op.dweight);
  sums.by_pieces(dim, [&](int64_t first, int64_t last, float* dweight) {
    for (int64_t row = first; row < last; ++row) {
      const T* dy = dys + row * dim;
      const T* x = normed.data<T>() + row * dim;
      const float rstd = rstds[row];
      const float along = sum_by_lanes(0, dim, [=](int64_t i, auto... lanes) {  // of g with x
        const vfloat d = load(dy + i, lanes...);
        const vfloat v = load(x + i, lanes...);
        if (wants_weight) store(dweight + i, load(dweight + i, lanes...) + d * v * rstd, lanes...);
        return d * load(weight + i, lanes...) * v;
      });
      if (!op.dx) continue;
      T* dx = op.dx.template data<T>() + row * dim;
      const T* dsum = dsums ? dsums + row * dim : nullptr;
      const float back = along * rstd * rstd / static_cast<float>(dim);
      by_lanes(0, dim, [=](int64_t i, auto... lanes) {
        vfloat d = rstd * (load(dy + i, lanes...) * load(weight + i, lanes...) - load(x + i, lanes...) * back);
        if (dsum) d += load(dsum + i, lanes...);
        store(dx + i, d, lanes...);
      });
    }
  });
  if (wants_weight) sums.finish(0, dim, op.dweight.template data<T>());
}

}  // namespace

void run(const RmsNorm& op, Stream&) {
  if (op.x.count() == 0) return;
  by_dtype(op.x.dtype, [&]<typename T>(Type<T>) { normalize<T>(op, nullptr, nullptr); });
}

void run(const AddRmsNorm& op, Stream&) {
  if (op.x.count() == 0) return;
  by_dtype(op.x.dtype, [&]<typename T>(Type<T>) { normalize<T>(op, op.residual.data<T>(), op.sum.data<T>()); });
}

void run(const RmsNormBackward& op, Stream& stream) {
  if (op.x.shape[-1] == 0) return;
  by_dtype(op.x.dtype, [&]<typename T>(Type<T>) { differentiate<T>(op, op.dy.data<T>(), nullptr, op.x, stream); });
}

void run(const AddRmsNormBackward& op, Stream& stream) {
  if (op.sum.shape[-1] == 0) return;
  by_dtype(op.sum.dtype, [&]<typename T>(Type<T>) {
    const T* dsum = op.dsum ? op.dsum->data<T>() : nullptr;
    if (op.dy) return differentiate<T>(op, op.dy->data<T>(), dsum, op.sum, stream);
    if (op.dweight) std::fill_n(op.dweight.data<T>(), op.dweight.count(), T());
    if (op.dx && dsum) std::copy_n(dsum, op.dx.count(), op.dx.data<T>());
    if (op.dx && !dsum) std::fill_n(op.dx.data<T>(), op.dx.count(), T());
  });
}

}  // namespace mglmm::cpu
