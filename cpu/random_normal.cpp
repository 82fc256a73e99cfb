#include "kernels/random_normal.h"

#include "cpu/random_words.h"
#include "cpu/simd.h"
#include "kernels/stream.h"

namespace mglmm::cpu {

void run(const RandomNormal& op, Stream&) {
  by_dtype(op.dtype, [&]<typename T>(Type<T>) {
    T* y = op.y.data<T>();
    const float mean = op.mean;
    const float std = op.std;
    by_random_words(op.seed, op.offset, op.y.count(), [=](int64_t i, int64_t count, const uint32_t* words, int64_t skipped) {
      float values[kWords];
      for (int pair = 0; pair < kWords; pair += 2) {
        const auto [even, odd] = box_muller(words[pair], words[pair + 1]);
        values[pair] = mean + std * even;
        values[pair + 1] = mean + std * odd;
      }
      for (int64_t k = 0; k < count; ++k) y[i + k] = T(values[skipped + k]);
    });
  });
}

}  // namespace mglmm::cpu
