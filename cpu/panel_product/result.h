// Where the products of dot instructions go: sums of strips of 6 rows by panels of 64 outputs become rows of y.
#pragma once
#include <algorithm>
#include <cstdint>
#include <type_traits>

#include "cpu/simd.h"
#include "kernels/panels.h"

namespace mglmm::cpu {

inline constexpr int64_t kStrip = 6;  // rows: with a panel's outputs 24 vectors of sums
inline constexpr int64_t kStripSums = kStrip * kPanel;

#if defined(__AVX512BF16__)

// y [rows, out] = or += sums + bias.
template <typename T, typename Bias = bf16>
struct Result {
  const Bias* bias;  // [out] or null
  T* y;
  int64_t rows, out;
  bool accumulate;

  // A large y, in whole lines, goes past the caches: a line that is written through them is read first.
  bool past_caches() const {
    constexpr int64_t kManyOutputs = int64_t{1} << 19;  // 1 MiB, a usual second cache
    return std::is_same_v<T, bf16> && !accumulate && rows * out > kManyOutputs && out % kPanel == 0 &&
           reinterpret_cast<uintptr_t>(y) % 64 == 0;
  }

  // What sums [6][64] hold from `row` and `output` on. After the last of them a thread calls _mm_sfence, so that what went
  // past the caches is there for other threads.
  void write(const float* sums, int64_t row, int64_t output) const {
    const int64_t outputs = std::min(kPanel, out - output);
    const Bias* shift = bias ? bias + output : nullptr;
    const bool past = past_caches();
    for (int64_t r = row; r < std::min(row + kStrip, rows); ++r, sums += kPanel) {
      T* to = y + r * out + output;
      const auto value = [&](int64_t o, auto... lanes) {
        const vfloat sum = load(sums + o, lanes...);
        return shift ? sum + load(shift + o, lanes...) : sum;
      };
      if (past) {
        for (int64_t o = 0; o < kPanel; o += 2 * kLanes) {
          const auto line = _mm512_cvtne2ps_pbh(std::bit_cast<__m512>(value(o + kLanes)), std::bit_cast<__m512>(value(o)));
          _mm512_stream_si512(reinterpret_cast<__m512i*>(to + o), std::bit_cast<__m512i>(line));
        }
        continue;
      }
      by_lanes(0, outputs, [&](int64_t o, auto... lanes) {
        const vfloat sum = value(o, lanes...);
        store(to + o, accumulate ? sum + load(to + o, lanes...) : sum, lanes...);
      });
    }
  }
};

#endif

}  // namespace mglmm::cpu
