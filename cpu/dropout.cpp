#include "kernels/dropout.h"

#include <cstring>

#include "cpu/random_words.h"
#include "cpu/simd.h"
#include "kernels/stream.h"

namespace mglmm::cpu {
namespace {

template <typename T, typename Op>
void drop(const T* x, T* y, int64_t total, const Op& op) {
  const auto threshold = static_cast<uint32_t>(op.p * 0x1p32);
  const auto factor = static_cast<float>(1.0 / (1.0 - op.p));
  by_random_words(op.seed, op.offset, total, [=](int64_t i, int64_t count, const uint32_t* words, int64_t skipped) {
    by_lanes(0, count, [=](int64_t k, auto... lanes) {
      vuint chosen = {};
      if constexpr (sizeof...(lanes) == 0)
        std::memcpy(&chosen, words + skipped + k, sizeof chosen);
      else
        std::memcpy(&chosen, words + skipped + k, static_cast<size_t>((lanes, ...)) * sizeof(uint32_t));
      const vfloat kept = load(x + i + k, lanes...) * factor;
      store(y + i + k, chosen >= threshold ? kept : splat(0), lanes...);
    });
  });
}

}  // namespace

void run(const Dropout& op, Stream&) {
  by_dtype(op.x.dtype, [&]<typename T>(Type<T>) { drop(op.x.data<T>(), op.y.data<T>(), op.y.count(), op); });
}

void run(const DropoutBackward& op, Stream&) {
  if (!op.dx) return;
  by_dtype(op.dy.dtype, [&]<typename T>(Type<T>) { drop(op.dy.data<T>(), op.dx.data<T>(), op.dx.count(), op); });
}

}  // namespace mglmm::cpu
