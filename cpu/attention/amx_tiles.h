// The matrix unit of newer Intel processors: eight tiles of 16 rows x 64 bytes; c[16][16] += a[16][32] b[32][16] in one
// instruction, a and b bf16, sums f32, b with pairs of its rows interleaved. Everything here works on tiles that lie whole
// in memory, 1 KiB each.
#pragma once
#include <cstdint>

#include "cpu/simd.h"

#if defined(__AVX512F__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MGLMM_AMX __attribute__((target("amx-tile,amx-bf16")))

namespace mglmm::cpu {

inline constexpr int64_t kTileElements = 512;  // bf16
inline constexpr int64_t kTileSide = 16;
inline constexpr int64_t kTileDepth = 32;

// Asks the system for the tiles, once: a process must before it may use them.
inline bool amx_present() {
  static const bool present = [] {
    unsigned a = 0, b = 0, c = 0, d = 0;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return false;
    constexpr unsigned kBf16 = 1U << 22, kTile = 1U << 24;
    if ((d & kBf16) == 0 || (d & kTile) == 0) return false;
    __get_cpuid(1, &a, &b, &c, &d);
    if ((c & (1U << 27)) == 0) return false;  // no xgetbv
    unsigned low = 0, high = 0;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    constexpr unsigned kTileState = 3U << 17;
    if ((low & kTileState) != kTileState) return false;
    constexpr long kRequestPermission = 0x1023, kTileData = 18;
    return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
  }();
  return present;
}

// Tiles are configured while one of these lives on the thread.
class TileUse {
 public:
  MGLMM_AMX TileUse() {
    struct alignas(64) {
      uint8_t palette = 1, start_row = 0, reserved[14] = {};
      uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
      uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
    } config;
    __asm__ volatile("" ::: "memory");
    _tile_loadconfig(&config);
  }
  TileUse(const TileUse&) = delete;
  TileUse& operator=(const TileUse&) = delete;
  MGLMM_AMX ~TileUse() { _tile_release(); }
};

// c[kRows * 16][kColumns * 16] (= or +=) sum over `depth` tiles of a * b. a's tile (row, k) is at row * a_row + k * a_step
// tiles, b's tile (k, column) at k * b_step + column * b_column.
struct TilePlaces {
  int64_t a_row, a_step, b_step, b_column;
};

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

// The same for `rows` x kColumns tiles of c, two by two.
template <int kColumns, bool kSum>
void tile_products(const bf16* a, int64_t rows, const bf16* b, const TilePlaces& places, int64_t depth, float* c,
                   int64_t c_stride) {
  for (int64_t row = 0; row < rows; row += 2) {
    const bf16* left = a + row * places.a_row * kTileElements;
    float* to = c + row * kTileSide * c_stride;
    const bool both = row + 2 <= rows;
    for (int column = 0; column < kColumns; column += 2) {
      const bf16* right = b + column * places.b_column * kTileElements;
      float* here = to + column * kTileSide;
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

}  // namespace mglmm::cpu
#endif
