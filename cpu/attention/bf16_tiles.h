// Products of tiles of bf16 that lie whole in memory, 1 KiB each, in the order of the matrix unit (cpu/amx.h): by that unit,
// or by the instruction of AVX512-BF16 that adds the products of pairs, for which one order is as good as another.
#pragma once
#include <algorithm>
#include <cstdint>
#include <cstring>

#include "cpu/amx.h"
#include "cpu/transpose.h"

#if defined(__AVX512F__)

namespace mglmm::cpu {

// 16 rows x 32 places from place `d` on; places from `width` and rows from `count` on are 0, and so is a row of null.
inline void read_rows(const bf16* const* rows, int64_t count, int64_t d, int64_t width, vfloat* block) {
  const auto mask = static_cast<__mmask32>(width >= kTileDepth ? 0xffffffffU : (1U << width) - 1);
  for (int64_t i = 0; i < kTileSide; ++i) {
    block[i] = i < count && rows[i] ? std::bit_cast<vfloat>(_mm512_maskz_loadu_epi16(mask, rows[i] + d)) : vfloat{};
  }
}

// 16 rows of `width` places as the columns of tiles [width / 32]: pairs of places are side by side already. Rows from
// `count` on are 0.
inline void pack_columns(const bf16* const* rows, int64_t count, int64_t width, bf16* tiles) {
  for (int64_t d = 0; d < width; d += kTileDepth, tiles += kTileElements) {
    vfloat block[kTileSide];
    read_rows(rows, count, d, width - d, block);
    transpose(block);
    for (int64_t i = 0; i < kTileSide; ++i)
      std::memcpy(static_cast<void*>(tiles + i * kTileDepth), &block[i], sizeof(vfloat));
  }
}

// a's tile (row, k) is at row * a_row + k * a_step tiles, b's tile (k, column) at k * b_step + column * b_column.
struct TilePlaces {
  int64_t a_row, a_step, b_step, b_column;
};

// c[kRows * 16][kColumns * 16] (= or +=) sum over `depth` tiles of a * b.

template <int kRows, int kColumns, bool kSum>
[[gnu::noinline]] MGLMM_AMX void tile_product(const bf16* a, const bf16* b, const TilePlaces& places, int64_t depth,
                                              float* c, int64_t c_stride) {
  __asm__ volatile("" ::: "memory");
  float* c2 = c + kTileSide * c_stride;
  const int64_t bytes = c_stride * static_cast<int64_t>(sizeof(float));
  if constexpr (kSum) {
    _tile_loadd(0, c, bytes);
    if constexpr (kColumns > 1) _tile_loadd(1, c + kTileSide, bytes);
    if constexpr (kRows > 1) _tile_loadd(2, c2, bytes);
    if constexpr (kRows > 1 && kColumns > 1) _tile_loadd(3, c2 + kTileSide, bytes);
  } else {
    _tile_zero(0);
    if constexpr (kColumns > 1) _tile_zero(1);
    if constexpr (kRows > 1) _tile_zero(2);
    if constexpr (kRows > 1 && kColumns > 1) _tile_zero(3);
  }
  for (int64_t k = 0; k < depth; ++k) {
    const bf16* a0 = a + k * places.a_step * kTileElements;
    const bf16* b0 = b + k * places.b_step * kTileElements;
    _tile_loadd(4, a0, 64);
    _tile_loadd(6, b0, 64);
    _tile_dpbf16ps(0, 4, 6);
    if constexpr (kColumns > 1) {
      _tile_loadd(7, b0 + places.b_column * kTileElements, 64);
      _tile_dpbf16ps(1, 4, 7);
    }
    if constexpr (kRows > 1) {
      _tile_loadd(5, a0 + places.a_row * kTileElements, 64);
      _tile_dpbf16ps(2, 5, 6);
      if constexpr (kColumns > 1) _tile_dpbf16ps(3, 5, 7);
    }
  }
  _tile_stored(0, c, bytes);
  if constexpr (kColumns > 1) _tile_stored(1, c + kTileSide, bytes);
  if constexpr (kRows > 1) _tile_stored(2, c2, bytes);
  if constexpr (kRows > 1 && kColumns > 1) _tile_stored(3, c2 + kTileSide, bytes);
  __asm__ volatile("" ::: "memory");
}

// c[rows][kColumns * 16] (= or +=) sum over `depth` places of a * b. `rows` is rounded up to whole blocks of c, of 16 rows
// at most; `depth` is a multiple of kDepth.
struct MatrixUnit {
  static constexpr int64_t kDepth = kTileDepth;
  using Use = TileUse;  // lives while products are made

  template <int kColumns, bool kSum>
  static void multiply(const bf16* a, int64_t rows, const bf16* b, const TilePlaces& places, int64_t depth, float* c,
                       int64_t c_stride) {
    depth /= kTileDepth;
    for (int64_t row = 0; row < rows; row += 2 * kTileSide) {
      const bf16* left = a + row / kTileSide * places.a_row * kTileElements;
      const bool both = row + kTileSide < rows;
      for (int column = 0; column < kColumns; column += 2) {
        const bf16* right = b + column * places.b_column * kTileElements;
        float* here = c + row * c_stride + column * kTileSide;
        if (kColumns - column >= 2) {
          if (both)
            tile_product<2, 2, kSum>(left, right, places, depth, here, c_stride);
          else
            tile_product<1, 2, kSum>(left, right, places, depth, here, c_stride);
        } else {
          if (both)
            tile_product<2, 1, kSum>(left, right, places, depth, here, c_stride);
          else
            tile_product<1, 1, kSum>(left, right, places, depth, here, c_stride);
        }
      }
    }
  }
};

#if defined(__AVX512BF16__)

// kRows rows of c stay in registers while k runs. `a` is at the first of them in its tile.
template <int kRows, int kColumns, bool kSum>
[[gnu::always_inline]] inline void dot_product(const bf16* a, const bf16* b, const TilePlaces& places, int64_t depth,
                                               float* c, int64_t c_stride) {
  __m512 sums[kRows][kColumns];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int n = 0; n < kColumns; ++n) {
      sums[r][n] = kSum ? _mm512_loadu_ps(c + r * c_stride + n * kTileSide) : _mm512_setzero_ps();
    }
  }
  for (int64_t k = 0; k < depth; k += kTileDepth) {
    const int64_t places_here = std::min(kTileDepth, depth - k);
    for (int64_t place = 0; place < places_here; place += 2) {
      __m512bh right[kColumns];
#pragma GCC unroll 4
      for (int n = 0; n < kColumns; ++n) {
        std::memcpy(&right[n], b + n * places.b_column * kTileElements + place * kTileSide, sizeof right[n]);
      }
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r) {
        int32_t pair;
        std::memcpy(&pair, a + r * kTileDepth + place, sizeof pair);
        const auto left = std::bit_cast<__m512bh>(_mm512_set1_epi32(pair));
#pragma GCC unroll 4
        for (int n = 0; n < kColumns; ++n) sums[r][n] = _mm512_dpbf16_ps(sums[r][n], left, right[n]);
      }
    }
    a += places.a_step * kTileElements;
    b += places.b_step * kTileElements;
  }
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int n = 0; n < kColumns; ++n) _mm512_storeu_ps(c + r * c_stride + n * kTileSide, sums[r][n]);
  }
}

// The same as MatrixUnit's.
struct DotProducts {
  static constexpr int64_t kDepth = 2;
  struct Use {};

  template <int kColumns, bool kSum>
  static void multiply(const bf16* a, int64_t rows, const bf16* b, const TilePlaces& places, int64_t depth, float* c,
                       int64_t c_stride) {
    constexpr int kRows = kColumns < 4 ? 8 : 4;  // with the columns at most 24 sums, of 32 registers
    for (int64_t row = 0; row < rows; row += kRows) {
      const bf16* left = a + row / kTileSide * places.a_row * kTileElements + row % kTileSide * kTileDepth;
      dot_product<kRows, kColumns, kSum>(left, b, places, depth, c + row * c_stride, c_stride);
    }
  }
};

#endif

}  // namespace mglmm::cpu
#endif
