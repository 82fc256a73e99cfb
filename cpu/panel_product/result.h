// Where products of strips by panels go: sums of strips of 6 rows by panels of 64 outputs become rows of y.
#pragma once
#include <algorithm>
#include <cstdint>

#include "cpu/past_caches.h"
#include "kernels/panels.h"

namespace mglmm::cpu {

inline constexpr int64_t kStrip = 6;  // rows: with a panel's outputs 24 vectors of sums
inline constexpr int64_t kStripSums = kStrip * kPanel;

// y [rows, out] = sums + bias + residual.
template <typename T, typename Bias>
struct Result {
  const Bias* bias;   // [out] or null
  const T* residual;  // [rows, out] or null; may be y, which is added to then
  T* y;
  int64_t rows, out;

  // A large y, in whole lines, goes past the caches: a line that is written through them is read first.
  bool past_caches() const {
    constexpr int64_t kManyOutputs = int64_t{1} << 19;  // 1 MiB of bf16, a usual second cache
    return residual != y && rows * out > kManyOutputs && out % kPanel == 0 && reinterpret_cast<uintptr_t>(y) % 64 == 0;
  }

  // What sums [6][64] hold from `row` and `output` on. After the last of them a thread calls fence_past_caches().
  void write(const float* sums, int64_t row, int64_t output) const {
    const int64_t outputs = std::min(kPanel, out - output);
    const Bias* shift = bias ? bias + output : nullptr;
    const bool past = past_caches();
    for (int64_t r = row; r < std::min(row + kStrip, rows); ++r, sums += kPanel) {
      T* to = y + r * out + output;
      const T* before = residual ? residual + r * out + output : nullptr;
      store_by_lanes(to, 0, outputs, past, [&](int64_t o, auto... lanes) {
        vfloat sum = load(sums + o, lanes...);
        if (shift) sum += load(shift + o, lanes...);
        return before ? sum + load(before + o, lanes...) : sum;
      });
    }
  }
};

}  // namespace mglmm::cpu
