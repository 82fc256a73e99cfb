// Pixels to 32-bit lanes and back. GCC takes such conversions of its vectors apart into single bytes, hence the intrinsics.
// Sixteen lanes go by reference: by value, how they are passed would depend on the level.
#pragma once
#include <cstdint>
#include <cstring>

#include "cpu/simd.h"

namespace mglmm::cpu {

using bytes16 = uint8_t __attribute__((vector_size(16)));
using ints4 = int32_t __attribute__((vector_size(16)));
using ints16 = int32_t __attribute__((vector_size(64)));

inline void widen(bytes16 bytes, ints16& lanes) {
#if defined(__AVX512F__)
  lanes = std::bit_cast<ints16>(_mm512_cvtepu8_epi32(std::bit_cast<__m128i>(bytes)));
#elif defined(__AVX2__)
  const auto low = std::bit_cast<__m128i>(bytes);
  const __m256i halves[] = {_mm256_cvtepu8_epi32(low), _mm256_cvtepu8_epi32(_mm_srli_si128(low, 8))};
  std::memcpy(&lanes, halves, sizeof lanes);
#elif defined(__SSE4_1__)
  const auto low = std::bit_cast<__m128i>(bytes);
  const __m128i quarters[] = {_mm_cvtepu8_epi32(low), _mm_cvtepu8_epi32(_mm_srli_si128(low, 4)),
                              _mm_cvtepu8_epi32(_mm_srli_si128(low, 8)), _mm_cvtepu8_epi32(_mm_srli_si128(low, 12))};
  std::memcpy(&lanes, quarters, sizeof lanes);
#else
  lanes = __builtin_convertvector(bytes, ints16);
#endif
}

// Cut to 0..255.
inline bytes16 narrow(const ints16& values) {
#if defined(__AVX512F__)
  const __m512i positive = _mm512_max_epi32(std::bit_cast<__m512i>(values), _mm512_setzero_si512());
  return std::bit_cast<bytes16>(_mm512_cvtusepi32_epi8(positive));
#elif defined(__SSE4_1__)
  __m128i quarters[4];
  std::memcpy(quarters, &values, sizeof values);
  return std::bit_cast<bytes16>(
      _mm_packus_epi16(_mm_packus_epi32(quarters[0], quarters[1]), _mm_packus_epi32(quarters[2], quarters[3])));
#else
  ints16 cut = values < 0 ? ints16{} : values;
  cut = cut > 255 ? ints16{} + 255 : cut;
  return __builtin_convertvector(cut, bytes16);
#endif
}

// Sixteen weighted sums of bytes, exact modulo 2^32, two terms at a time. A weight of up to 27 bits is given as two halves
// of 16: weight = high * 2^11 + low, so that products of 16 bits do, of which processors make twice as many.
class PairSums {
 public:
  static constexpr int kLowBits = 11;

  // Of lane l: += bytes[2 l] * the lower half of each of `weights` + bytes[2 l + 1] * the upper; weights[0] high, weights[1]
  // low.
  void add(const uint8_t* bytes, const int32_t* weights) {
#if defined(__AVX512BW__)
    const __m512i words = _mm512_cvtepu8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(bytes)));
    high_ = _mm512_add_epi32(high_, _mm512_madd_epi16(words, _mm512_set1_epi32(weights[0])));
    low_ = _mm512_add_epi32(low_, _mm512_madd_epi16(words, _mm512_set1_epi32(weights[1])));
#elif defined(__AVX2__)
    for (int k = 0; k < 2; ++k) {
      const __m256i words = _mm256_cvtepu8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes + 16 * k)));
      high_[k] = _mm256_add_epi32(high_[k], _mm256_madd_epi16(words, _mm256_set1_epi32(weights[0])));
      low_[k] = _mm256_add_epi32(low_[k], _mm256_madd_epi16(words, _mm256_set1_epi32(weights[1])));
    }
#elif defined(__SSE4_1__)
    for (int k = 0; k < 4; ++k) {
      const __m128i words = _mm_cvtepu8_epi16(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(bytes + 8 * k)));
      high_[k] = _mm_add_epi32(high_[k], _mm_madd_epi16(words, _mm_set1_epi32(weights[0])));
      low_[k] = _mm_add_epi32(low_[k], _mm_madd_epi16(words, _mm_set1_epi32(weights[1])));
    }
#else
    for (int half = 0; half < 2; ++half) {
      uint32_t* sums = half == 0 ? high_ : low_;
      const int32_t lower = static_cast<int16_t>(weights[half]);
      const int32_t upper = weights[half] >> 16;
      for (int lane = 0; lane < 16; ++lane)
        sums[lane] += static_cast<uint32_t>(bytes[2 * lane] * lower + bytes[2 * lane + 1] * upper);
    }
#endif
  }

  // high * 2^11 + low
  void store(ints16& lanes) const {
#if defined(__AVX512BW__)
    lanes = std::bit_cast<ints16>(_mm512_add_epi32(_mm512_slli_epi32(high_, kLowBits), low_));
#elif defined(__AVX2__)
    __m256i sums[2];
    for (int k = 0; k < 2; ++k) sums[k] = _mm256_add_epi32(_mm256_slli_epi32(high_[k], kLowBits), low_[k]);
    std::memcpy(&lanes, sums, sizeof lanes);
#elif defined(__SSE4_1__)
    __m128i sums[4];
    for (int k = 0; k < 4; ++k) sums[k] = _mm_add_epi32(_mm_slli_epi32(high_[k], kLowBits), low_[k]);
    std::memcpy(&lanes, sums, sizeof lanes);
#else
    uint32_t sums[16];
    for (int lane = 0; lane < 16; ++lane) sums[lane] = (high_[lane] << kLowBits) + low_[lane];
    std::memcpy(&lanes, sums, sizeof lanes);
#endif
  }

 private:
#if defined(__AVX512BW__)
  __m512i high_ = _mm512_setzero_si512();
  __m512i low_ = _mm512_setzero_si512();
#elif defined(__AVX2__)
  __m256i high_[2] = {};
  __m256i low_[2] = {};
#elif defined(__SSE4_1__)
  __m128i high_[4] = {};
  __m128i low_[4] = {};
#else
  uint32_t high_[16] = {};
  uint32_t low_[16] = {};
#endif
};

// kLanes pixels as floats.
inline vfloat load_pixels(const uint8_t* p) {
  bytes16 bytes{};
  std::memcpy(&bytes, p, kLanes);
#if defined(__AVX512F__)
  return std::bit_cast<vfloat>(_mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(std::bit_cast<__m128i>(bytes))));
#elif defined(__AVX2__)
  return std::bit_cast<vfloat>(_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(std::bit_cast<__m128i>(bytes))));
#elif defined(__SSE4_1__)
  return std::bit_cast<vfloat>(_mm_cvtepi32_ps(_mm_cvtepu8_epi32(std::bit_cast<__m128i>(bytes))));
#else
  vfloat v;
  for (int lane = 0; lane < kLanes; ++lane) v[lane] = p[lane];
  return v;
#endif
}

}  // namespace mglmm::cpu
