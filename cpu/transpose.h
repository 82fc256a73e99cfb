// Squares of 32-bit words, transposed in registers: of memory, and of vectors.
#pragma once
#include <cstdint>
#include <cstring>

#include "cpu/simd.h"

#if defined(__AVX512F__)
#include <immintrin.h>
#endif

namespace mglmm::cpu {

inline constexpr int64_t kSquareWords = 16;  // a side

// to[column][row] = from[row][column]; strides in words. Rows may stand at any byte.
inline void transpose_square(const void* from, int64_t from_stride, uint32_t* to, int64_t to_stride) {
  const auto* rows = static_cast<const char*>(from);
#if defined(__AVX512F__)
  __m512i pairs[16], quads[16];
#pragma GCC unroll 8
  for (int i = 0; i < 16; i += 2) {
    const __m512i even = _mm512_loadu_si512(rows + i * from_stride * 4);
    const __m512i odd = _mm512_loadu_si512(rows + (i + 1) * from_stride * 4);
    pairs[i] = _mm512_unpacklo_epi32(even, odd);
    pairs[i + 1] = _mm512_unpackhi_epi32(even, odd);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 16; i += 4) {
    quads[i] = _mm512_unpacklo_epi64(pairs[i], pairs[i + 2]);
    quads[i + 1] = _mm512_unpackhi_epi64(pairs[i], pairs[i + 2]);
    quads[i + 2] = _mm512_unpacklo_epi64(pairs[i + 1], pairs[i + 3]);
    quads[i + 3] = _mm512_unpackhi_epi64(pairs[i + 1], pairs[i + 3]);
  }
  // A quarter of quads[4 g + c] is column 4 quarter + c of rows 4 g to 4 g + 3.
#pragma GCC unroll 4
  for (int c = 0; c < 4; ++c) {
    const __m512i even_low = _mm512_shuffle_i32x4(quads[c], quads[4 + c], 0x88);
    const __m512i even_high = _mm512_shuffle_i32x4(quads[8 + c], quads[12 + c], 0x88);
    const __m512i odd_low = _mm512_shuffle_i32x4(quads[c], quads[4 + c], 0xdd);
    const __m512i odd_high = _mm512_shuffle_i32x4(quads[8 + c], quads[12 + c], 0xdd);
    _mm512_storeu_si512(to + c * to_stride, _mm512_shuffle_i32x4(even_low, even_high, 0x88));
    _mm512_storeu_si512(to + (4 + c) * to_stride, _mm512_shuffle_i32x4(odd_low, odd_high, 0x88));
    _mm512_storeu_si512(to + (8 + c) * to_stride, _mm512_shuffle_i32x4(even_low, even_high, 0xdd));
    _mm512_storeu_si512(to + (12 + c) * to_stride, _mm512_shuffle_i32x4(odd_low, odd_high, 0xdd));
  }
#else
  uint32_t square[kSquareWords][kSquareWords];
  for (int64_t row = 0; row < kSquareWords; ++row)
    std::memcpy(square[row], rows + row * from_stride * 4, sizeof square[row]);
  for (int64_t column = 0; column < kSquareWords; ++column) {
    for (int64_t row = 0; row < kSquareWords; ++row) to[column * to_stride + row] = square[row][column];
  }
#endif
}

// Lane j of vector i becomes lane i of vector j.
inline void transpose(vfloat (&rows)[kLanes]) {
#pragma GCC unroll 4
  for (int step = 1; step < kLanes; step *= 2) {
    vint low, high;
#pragma GCC unroll 16
    for (int lane = 0; lane < kLanes; ++lane) {
      low[lane] = lane & step ? kLanes + lane - step : lane;
      high[lane] = lane & step ? kLanes + lane : lane + step;
    }
#pragma GCC unroll 16
    for (int i = 0; i < kLanes; ++i) {
      if (i & step) continue;
      const vfloat a = rows[i], b = rows[i + step];
      rows[i] = __builtin_shuffle(a, b, low);
      rows[i + step] = __builtin_shuffle(a, b, high);
    }
  }
}

}  // namespace mglmm::cpu
