// Linear interpolation between the centres of pixels. Shared by the ops that resize without antialiasing, so that all of
// them round alike: what one of them says of a sign, the others say.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "cpu/simd.h"

namespace mglmm::cpu {

// a * b + c, rounded once where the level has such an instruction.
inline float multiply_add(float a, float b, float c) {
#if defined(__FMA__)
  return std::fma(a, b, c);
#else
  return a * b + c;
#endif
}
inline vfloat multiply_add(vfloat a, vfloat b, vfloat c) {
#if defined(__AVX512F__)
  return std::bit_cast<vfloat>(
      _mm512_fmadd_ps(std::bit_cast<__m512>(a), std::bit_cast<__m512>(b), std::bit_cast<__m512>(c)));
#elif defined(__FMA__)
  return std::bit_cast<vfloat>(
      _mm256_fmadd_ps(std::bit_cast<__m256>(a), std::bit_cast<__m256>(b), std::bit_cast<__m256>(c)));
#else
  return a * b + c;
#endif
}

// Where each output position along an axis reads: positions `lower` and `lower + 1`, the upper one with weight `upper`.
// At the far edge lower + 1 may be one past the end, which then repeats the last pixel.
struct Positions {
  std::vector<int32_t> lower;
  std::vector<float> upper;
  bool growing;

  Positions(int64_t in, int64_t out) : lower(static_cast<size_t>(out)), upper(static_cast<size_t>(out)), growing(out >= in) {
    const double scale = static_cast<double>(in) / static_cast<double>(out);
    for (int64_t i = 0; i < out; ++i) {
      const double position = std::max((static_cast<double>(i) + 0.5) * scale - 0.5, 0.0);
      const int64_t below = std::min(static_cast<int64_t>(position), in - 1);
      lower[static_cast<size_t>(i)] = static_cast<int32_t>(below);
      upper[static_cast<size_t>(i)] = below == in - 1 ? 0.0F : static_cast<float>(position - static_cast<double>(below));
    }
  }
};

// Elements that a row which is stretched needs: its own, the repeated last one, and room for loads past it.
constexpr int64_t stretchable(int64_t width) { return width + 1 + kLanes; }

// row[i] between below[i] and above[i], for i in [begin, end), of a row of `width`, after whose last comes the last again.
template <typename T>
void mix_rows(const T* below, const T* above, float weight, int64_t begin, int64_t end, int64_t width, float* row) {
  by_lanes(begin, end, [&](int64_t i, auto... lanes) {
    const vfloat first = load(below + i, lanes...);
    store(row + i, multiply_add(splat(weight), load(above + i, lanes...) - first, first), lanes...);
  });
  if (end == width) row[width] = row[width - 1];
}

// row[index[0]], row[index[1]], ..., of indices that never fall. Where they lie close together, as when a row grows, the
// lanes of one vector lie in one vector of the row, so a load and a permutation serve them.
inline vfloat at_each(const float* row, const int32_t* index) {
#if defined(__AVX512F__)
  const __m512i all = _mm512_loadu_si512(index);
  if (index[kLanes - 1] - index[0] >= kLanes) return std::bit_cast<vfloat>(_mm512_i32gather_ps(all, row, 4));
  const __m512i near = _mm512_sub_epi32(all, _mm512_set1_epi32(index[0]));
  return std::bit_cast<vfloat>(_mm512_permutexvar_ps(near, _mm512_loadu_ps(row + index[0])));
#elif defined(__AVX2__)
  const __m256i all = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(index));
  if (index[kLanes - 1] - index[0] >= kLanes) return std::bit_cast<vfloat>(_mm256_i32gather_ps(row, all, 4));
  const __m256i near = _mm256_sub_epi32(all, _mm256_set1_epi32(index[0]));
  return std::bit_cast<vfloat>(_mm256_permutevar8x32_ps(_mm256_loadu_ps(row + index[0]), near));
#else
  vfloat values;
  for (int lane = 0; lane < kLanes; ++lane) values[lane] = row[index[lane]];
  return values;
#endif
}

// Calls emit(o, values) for the output positions [begin, end), in vectors of kLanes and, at the end, single floats: the
// values between row[lower[o]] and row[lower[o] + 1].
template <typename Emit>
void stretch(const float* row, const Positions& columns, int64_t begin, int64_t end, Emit&& emit) {
  const int32_t* lower = columns.lower.data();
  const float* upper = columns.upper.data();
  int64_t o = begin;
  if constexpr (kLanes >= 8) {  // op maskBits stores whole bytes of bits
    for (; o + kLanes <= end; o += kLanes) {
      const vfloat left = at_each(row, lower + o);
      emit(o, multiply_add(load(upper + o), at_each(row + 1, lower + o) - left, left));
    }
  }
  for (; o < end; ++o) {
    const float* pixel = row + lower[o];
    emit(o, multiply_add(upper[o], pixel[1] - pixel[0], pixel[0]));
  }
}

}  // namespace mglmm::cpu
