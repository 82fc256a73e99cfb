#include "kernels/fourier_encoding.h"

#include <cmath>
#include <numbers>

#include "cpu/parallel.h"
#include "kernels/stream.h"

namespace mglmm::cpu {

void run(const FourierEncoding& op, Stream&) {
  if (op.y.count() == 0) return;
  const int64_t features = op.gaussian.shape[1];
  by_dtype(op.y.dtype, [&]<typename T>(Type<T>) {
    const T* points = op.points.data<T>();
    const T* gaussian = op.gaussian.data<T>();
    T* y = op.y.data<T>();
    constexpr int64_t kGrain = 512;  // sines and cosines worth a thread
    parallel_ranges(op.points.count() / 2, kGrain / features + 1, [=](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const float px = 2.0F * points[2 * i] - 1.0F;
        const float py = 2.0F * points[2 * i + 1] - 1.0F;
        for (int64_t k = 0; k < features; ++k) {
          const float turns = px * gaussian[k] + py * gaussian[features + k];
          // Whole turns away first: what is left is exact, and small enough for an exact sine.
          const float angle = (turns - std::nearbyint(turns)) * (2.0F * std::numbers::pi_v<float>);
          y[2 * features * i + k] = T(std::sin(angle));
          y[2 * features * i + features + k] = T(std::cos(angle));
        }
      }
    });
  });
}

}  // namespace mglmm::cpu
