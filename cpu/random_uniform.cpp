#include "kernels/random_uniform.h"

#include "cpu/random_words.h"
#include "cpu/simd.h"
#include "kernels/stream.h"

namespace mglmm::cpu {

void run(const RandomUniform& op, Stream&) {
  by_dtype(op.dtype, [&]<typename T>(Type<T>) {
    T* y = op.y.data<T>();
    const float low = op.low;
    const float width = op.high - op.low;
    by_random_words(op.seed, op.offset, op.y.count(), [=](int64_t i, int64_t count, const uint32_t* words, int64_t skipped) {
      for (int64_t k = 0; k < count; ++k) y[i + k] = T(low + unit_uniform(words[skipped + k]) * width);
    });
  });
}

}  // namespace mglmm::cpu
