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

// Each of four numbers four times.
inline void spread(ints4 numbers, ints16& lanes) {
#if defined(__AVX512F__)
  const __m512i order = _mm512_set_epi32(3, 3, 3, 3, 2, 2, 2, 2, 1, 1, 1, 1, 0, 0, 0, 0);
  lanes = std::bit_cast<ints16>(_mm512_permutexvar_epi32(order, _mm512_castsi128_si512(std::bit_cast<__m128i>(numbers))));
#elif defined(__AVX2__)
  const __m256i source = _mm256_castsi128_si256(std::bit_cast<__m128i>(numbers));
  const __m256i halves[] = {_mm256_permutevar8x32_epi32(source, _mm256_set_epi32(1, 1, 1, 1, 0, 0, 0, 0)),
                            _mm256_permutevar8x32_epi32(source, _mm256_set_epi32(3, 3, 3, 3, 2, 2, 2, 2))};
  std::memcpy(&lanes, halves, sizeof lanes);
#else
  const ints4 quarters[] = {ints4{} + numbers[0], ints4{} + numbers[1], ints4{} + numbers[2], ints4{} + numbers[3]};
  std::memcpy(&lanes, quarters, sizeof lanes);
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
