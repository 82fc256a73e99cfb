#include "kernels/pack_bits.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "cpu/bits.h"
#include "cpu/parallel.h"
#include "kernels/stream.h"

namespace mglmm::cpu {
namespace {

template <typename T>
uint64_t logits_above(const T* logits, float threshold, int64_t count) {
  uint64_t word = 0;
  by_lanes(0, count, [&](int64_t i, auto... lanes) {
    const vfloat v = load(logits + i, lanes...);
#if defined(__AVX512F__)
    const uint64_t above = _mm512_cmp_ps_mask(std::bit_cast<__m512>(v), _mm512_set1_ps(threshold), _CMP_GT_OQ);
#else
    uint64_t above = 0;
    for (int lane = 0; lane < kLanes; ++lane) above |= static_cast<uint64_t>(v[lane] > threshold) << lane;
#endif
    word |= above << i;
  });
  return count < 64 ? word & ((uint64_t{1} << count) - 1) : word;
}

template <typename Word>
void pack(const PackBits& op, Word&& word_of) {
  const int64_t width = op.masks.shape[-1];
  const int64_t words = bit_row_bytes(width) / 8;
  auto* bits = op.bits.data<uint64_t>();
  parallel_ranges(op.masks.shape.count(0, op.masks.shape.rank - 1), kElementGrain / width + 1,
                  [=](int64_t begin, int64_t end) {
                    for (int64_t row = begin; row < end; ++row) {
                      for (int64_t i = 0; i < words; ++i)
                        bits[row * words + i] = word_of(row * width + 64 * i, std::min<int64_t>(64, width - 64 * i));
                    }
                  });
}

}  // namespace

void run(const PackBits& op, Stream&) {
  if (op.bits.count() == 0) return;
  if (op.masks.dtype == Dtype::u8) {
    const auto* pixels = op.masks.data<uint8_t>();
    if (op.threshold < 0 || op.threshold >= 255) {
      const bool all = op.threshold < 0;
      return pack(op, [=](int64_t, int64_t count) { return all ? ~uint64_t{0} >> (64 - count) : 0; });
    }
    const auto threshold = static_cast<uint8_t>(op.threshold);  // v > 3.7 where v > 3: pixels are whole
    return pack(op, [=](int64_t first, int64_t count) {
      return count == 64 ? bits_above(pixels + first, threshold) : bits_above(pixels + first, threshold, count);
    });
  }
  by_dtype(op.masks.dtype, [&]<typename T>(Type<T>) {
    const T* logits = op.masks.data<T>();
    // The largest f32 that is not above the threshold: rounded up, the threshold would exclude values it must not.
    auto threshold = static_cast<float>(op.threshold);
    if (static_cast<double>(threshold) > op.threshold) threshold = std::nextafter(threshold, -INFINITY);
    pack(op, [=](int64_t first, int64_t count) { return logits_above(logits + first, threshold, count); });
  });
}

}  // namespace mglmm::cpu
