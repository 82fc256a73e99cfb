// The matrix unit of newer Intel processors: eight tiles of 16 rows x 64 bytes; c[16][16] += a[16][32] b[32][16] in one
// instruction, a and b bf16, sums f32, b with pairs of its rows interleaved.
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

}  // namespace mglmm::cpu
#endif
