// Vectors of f32 in the width this file is compiled for (16 lanes with AVX-512, 8 with AVX2, 4 else), by the compiler's
// vector extension: +, -, *, /, <, ?: work on them as on floats. Loads widen bf16 and f16, stores round to nearest even.
#pragma once
#include <bit>
#include <cstdint>
#include <cstring>

#include "kernels/dtype.h"
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace mglmm::cpu {

#if defined(__AVX512F__)
inline constexpr int kLanes = 16;
#elif defined(__AVX2__)
inline constexpr int kLanes = 8;
#else
inline constexpr int kLanes = 4;
#endif

using vfloat = float __attribute__((vector_size(kLanes * 4)));
using vint = int32_t __attribute__((vector_size(kLanes * 4)));
using vuint = uint32_t __attribute__((vector_size(kLanes * 4)));
using vhalf = uint16_t __attribute__((vector_size(kLanes * 2)));

inline vfloat splat(float value) { return value - vfloat{}; }  // x - 0 is x, -0 too: a plain broadcast

inline vfloat load(const float* p) {
  vfloat v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
inline vfloat load(const bf16* p) {
#if defined(__AVX512F__)  // GCC 12 makes five instructions of the conversion
  const auto word = std::bit_cast<vuint>(_mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))));
#else
  vhalf half;
  std::memcpy(&half, p, sizeof half);
  const vuint word = __builtin_convertvector(half, vuint);
#endif
  return std::bit_cast<vfloat>(word << 16);
}
inline vfloat load(const f16* p) {
#if defined(__AVX512F__)
  return std::bit_cast<vfloat>(_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))));
#elif defined(__F16C__)
  return std::bit_cast<vfloat>(_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
#else
  vfloat v;
  for (int lane = 0; lane < kLanes; ++lane) v[lane] = p[lane];
  return v;
#endif
}

inline void store(float* p, vfloat v) { std::memcpy(p, &v, sizeof v); }
inline vhalf rounded_to_bf16(vfloat v) {
  const vuint word = std::bit_cast<vuint>(v);
  const vuint rounded = (word + 0x7fff + ((word >> 16) & 1)) >> 16;
  const vint is_nan = v != v;
  const vuint kept = std::bit_cast<vuint>(is_nan) & ((word >> 16) | 0x40);
  return __builtin_convertvector((rounded & ~std::bit_cast<vuint>(is_nan)) | kept, vhalf);
}
// The instruction takes what is below 2^-126 for 0.
inline void store(bf16* p, vfloat v) {
#if defined(__AVX512BF16__)
  const __m256bh half = _mm512_cvtneps_pbh(std::bit_cast<__m512>(v));
#else
  const vhalf half = rounded_to_bf16(v);
#endif
  std::memcpy(static_cast<void*>(p), &half, sizeof half);
}
inline void store(f16* p, vfloat v) {
#if defined(__AVX512F__)
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtps_ph(std::bit_cast<__m512>(v), _MM_FROUND_TO_NEAREST_INT));
#elif defined(__F16C__)
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm256_cvtps_ph(std::bit_cast<__m256>(v), _MM_FROUND_TO_NEAREST_INT));
#else
  for (int lane = 0; lane < kLanes; ++lane) p[lane] = f16(v[lane]);
#endif
}

// The first `count` < kLanes elements; the other lanes are 0 and are not stored.
template <typename T>
vfloat load(const T* p, int64_t count) {
  T buffer[kLanes] = {};
  std::memcpy(static_cast<void*>(buffer), p, static_cast<size_t>(count) * sizeof(T));
  return load(buffer);
}
template <typename T>
void store(T* p, vfloat v, int64_t count) {
  T buffer[kLanes];
  store(buffer, v);
  std::memcpy(static_cast<void*>(p), buffer, static_cast<size_t>(count) * sizeof(T));
}

inline vfloat max(vfloat a, vfloat b) { return a > b ? a : b; }
inline vfloat min(vfloat a, vfloat b) { return a < b ? a : b; }
// x within [-range, range]; NaN stays.
inline vfloat clamp(vfloat x, float range) {
#if defined(__AVX512F__)  // of a comparison and a choice GCC 12 makes two instructions
  const __m512 below = _mm512_min_ps(_mm512_set1_ps(range), std::bit_cast<__m512>(x));
  return std::bit_cast<vfloat>(_mm512_max_ps(_mm512_set1_ps(-range), below));
#else
  x = x > range ? splat(range) : x;
  return x < -range ? splat(-range) : x;
#endif
}

// Sums over the lanes in a fixed tree: halves, quarters, ...
inline float sum(vfloat v) {
  float lanes[kLanes];
  std::memcpy(lanes, &v, sizeof v);
  for (int width = kLanes / 2; width > 0; width /= 2) {
    for (int lane = 0; lane < width; ++lane) lanes[lane] += lanes[lane + width];
  }
  return lanes[0];
}
inline float max(vfloat v) {
  float lanes[kLanes];
  std::memcpy(lanes, &v, sizeof v);
  for (int width = kLanes / 2; width > 0; width /= 2) {
    for (int lane = 0; lane < width; ++lane)
      lanes[lane] = lanes[lane] < lanes[lane + width] ? lanes[lane + width] : lanes[lane];
  }
  return lanes[0];
}

// e^x to about 1 ulp: x = n ln 2 + r with |r| <= ln(2) / 2, then a polynomial of degree 7 in r (Cephes' coefficients) times
// 2^n, running smoothly into 0 and infinity at both ends.
inline vfloat exp(vfloat x) {
#if defined(__AVX512F__)
  const __m512 above = _mm512_max_ps(_mm512_set1_ps(-105.0F), std::bit_cast<__m512>(x));  // NaN stays
  const __m512 wide = _mm512_min_ps(_mm512_set1_ps(89.0F), above);
  x = std::bit_cast<vfloat>(wide);
  const __m512 rounded = _mm512_roundscale_ps(_mm512_mul_ps(wide, _mm512_set1_ps(1.44269504088896341F)),
                                              _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  const vfloat n = std::bit_cast<vfloat>(rounded);
#else
  x = x < -105.0F ? splat(-105.0F) : x;
  x = x > 89.0F ? splat(89.0F) : x;
  constexpr float kRound = 12582912.0F;  // 1.5 * 2^23: adding it rounds to an integer
  const vfloat n = (x * 1.44269504088896341F + kRound) - kRound;
#endif
  const vfloat r = (x - n * 0.693359375F) + n * 2.12194440e-4F;
  vfloat p = splat(1.9875691500e-4F);
  p = p * r + 1.3981999507e-3F;
  p = p * r + 8.3334519073e-3F;
  p = p * r + 4.1665795894e-2F;
  p = p * r + 1.6666665459e-1F;
  p = p * r + 5.0000001201e-1F;
  p = p * (r * r) + r + 1.0F;
#if defined(__AVX512F__)
  return std::bit_cast<vfloat>(_mm512_scalef_ps(std::bit_cast<__m512>(p), rounded));
#else
  const vint exponent = __builtin_convertvector(n, vint);
  const vint half = exponent >> 1;  // in two factors: 2^n alone may be no number
  const vfloat first = std::bit_cast<vfloat>((half + 127) << 23);
  const vfloat second = std::bit_cast<vfloat>((exponent - half + 127) << 23);
  return p * first * second;
#endif
}

// 1 / x of x from 1 to infinity, within 2 ulp: an estimate of 14 bits and a step of Newton's. A division takes as long as
// all else that a sigmoid is made of.
inline vfloat reciprocal(vfloat x) {
#if defined(__AVX512F__)
  const __m512 bounded = _mm512_min_ps(_mm512_set1_ps(3.4028234e38F), std::bit_cast<__m512>(x));  // NaN stays
  const __m512 estimate = _mm512_rcp14_ps(bounded);
  const __m512 error = _mm512_fnmadd_ps(bounded, estimate, _mm512_set1_ps(1.0F));
  return std::bit_cast<vfloat>(_mm512_fmadd_ps(estimate, error, estimate));
#else
  return 1.0F / x;
#endif
}

inline vfloat sigmoid(vfloat x) { return reciprocal(1.0F + exp(-x)); }

// Runs `body(offset, lanes)` over [begin, end) in steps of kLanes, the last step with fewer lanes.
template <typename Body>
void by_lanes(int64_t begin, int64_t end, Body&& body) {
  int64_t i = begin;
  for (; i + kLanes <= end; i += kLanes) body(i);
  if (i < end) body(i, end - i);
}

// The sum of value(i, lanes...) over [begin, end), in four interleaved sums: one would wait for each addition in turn. Of
// the last, shorter step only the first `lanes` lanes count.
template <typename Value>
float sum_by_lanes(int64_t begin, int64_t end, Value&& value) {
  vfloat sums[4] = {};
  int64_t i = begin;
  for (; i + 4 * kLanes <= end; i += 4 * kLanes) {
    for (int k = 0; k < 4; ++k) sums[k] += value(i + k * kLanes);
  }
  for (; i + kLanes <= end; i += kLanes) sums[0] += value(i);
  float total = sum((sums[0] + sums[1]) + (sums[2] + sums[3]));
  if (i < end) {
    const vfloat rest = value(i, end - i);
    for (int64_t lane = 0; lane < end - i; ++lane) total += rest[lane];
  }
  return total;
}

}  // namespace mglmm::cpu
