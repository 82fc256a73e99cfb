#include "kernels/layer_norm.h"

#include <cmath>

#include "cpu/partial_sums.h"

namespace mglmm::cpu {

void run(const LayerNorm& op, Stream&) {
  const int64_t dim = op.x.shape[-1];
  if (op.x.count() == 0) return;
  by_dtype(op.x.dtype, [&]<typename T>(Type<T>) {
    const T* x = op.x.data<T>();
    const T* weight = op.weight.data<T>();
    const T* bias = op.bias.data<T>();
    T* y = op.y.data<T>();
    float* means = op.mean ? op.mean.data<float>() : nullptr;
    float* rstds = op.rstd ? op.rstd.data<float>() : nullptr;
    const float eps = op.eps;
    const auto size = static_cast<float>(dim);
    parallel_ranges(op.x.count() / dim, std::max<int64_t>(1, kElementGrain / dim), [=](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        const T* from = x + row * dim;
        T* to = y + row * dim;
        const float mean = sum_by_lanes(0, dim, [=](int64_t i, auto... lanes) { return load(from + i, lanes...); }) / size;
        // Squares of what is left after the mean: a mean far from 0 costs no digits.
        const float square = sum_by_lanes(0, dim, [=](int64_t i, auto... lanes) {
          const vfloat centred = load(from + i, lanes...) - mean;
          return centred * centred;
        });
        const float rstd = 1.0F / std::sqrt(square / size + eps);
        if (means) means[row] = mean;
        if (rstds) rstds[row] = rstd;
        by_lanes(0, dim, [=](int64_t at, auto... lanes) {
          store(to + at, (load(from + at, lanes...) - mean) * rstd * load(weight + at, lanes...) + load(bias + at, lanes...),
                lanes...);
        });
      }
    });
  });
}

void run(const LayerNormBackward& op, Stream& stream) {
  const int64_t dim = op.x.shape[-1];
  if (dim == 0) return;
  const PartialSums sums(stream, op.x.count() / dim, 2 * dim);
  by_dtype(op.x.dtype, [&]<typename T>(Type<T>) {
    const T* weight = op.weight.data<T>();
    const bool wants_weight = op.dweight || op.dbias;
    sums.by_pieces(dim, [&](int64_t first, int64_t last, float* dweight) {
      float* dbias = dweight + dim;
      for (int64_t row = first; row < last; ++row) {
        const T* dy = op.dy.data<T>() + row * dim;
        const T* x = op.x.data<T>() + row * dim;
        const float mean = op.mean.data<float>()[row];
        const float rstd = op.rstd.data<float>()[row];
        vfloat level = splat(0);  // sum of g
        vfloat along = splat(0);  // sum of g * n
        by_lanes(0, dim, [&](int64_t i, auto... lanes) {
          const vfloat d = load(dy + i, lanes...);
          const vfloat n = (load(x + i, lanes...) - mean) * rstd;
          const vfloat g = d * load(weight + i, lanes...);
          level += g;
          along += g * n;
          if (wants_weight) {
            store(dweight + i, load(dweight + i, lanes...) + d * n, lanes...);
            store(dbias + i, load(dbias + i, lanes...) + d, lanes...);
          }
        });
        if (!op.dx) continue;
        T* dx = op.dx.data<T>() + row * dim;
        const float mean_level = sum(level) / static_cast<float>(dim);
        const float mean_along = sum(along) / static_cast<float>(dim);
        by_lanes(0, dim, [=](int64_t i, auto... lanes) {
          const vfloat n = (load(x + i, lanes...) - mean) * rstd;
          store(dx + i, rstd * (load(dy + i, lanes...) * load(weight + i, lanes...) - mean_level - n * mean_along),
                lanes...);
        });
      }
    });
    if (op.dweight) sums.finish(0, dim, op.dweight.data<T>());
    if (op.dbias) sums.finish(dim, dim, op.dbias.data<T>());
  });
}

}  // namespace mglmm::cpu
