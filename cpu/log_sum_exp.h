// log sum exp of a row and its softmax, for the losses of a language model.
#pragma once
#include <algorithm>
#include <cmath>
#include <limits>

#include "cpu/simd.h"

namespace mglmm::cpu {

// The first `count` elements, the other lanes `filler`.
template <typename T>
vfloat load_filled(const T* p, int64_t count, float filler) {
  vfloat v = load(p, count);
  for (int64_t lane = count; lane < kLanes; ++lane) v[lane] = filler;
  return v;
}

// One reading of memory: each block, small enough for the first cache, gives its maximum, then its sum of exponentials
// below the largest value so far. A NaN or +infinity in the row makes the result NaN, -infinity everywhere -infinity.
template <typename T>
float log_sum_exp(const T* row, int64_t count) {
  constexpr int64_t kBlock = 64 * kLanes;
  constexpr float kLowest = -std::numeric_limits<float>::infinity();
  float largest = kLowest;
  float total = 0.0F;
  for (int64_t begin = 0; begin < count; begin += kBlock) {
    const int64_t end = std::min(begin + kBlock, count);
    vfloat maxima[4] = {splat(kLowest), splat(kLowest), splat(kLowest), splat(kLowest)};
    int64_t i = begin;
    for (; i + 4 * kLanes <= end; i += 4 * kLanes) {
      for (int k = 0; k < 4; ++k) maxima[k] = max(maxima[k], load(row + i + k * kLanes));
    }
    for (; i + kLanes <= end; i += kLanes) maxima[0] = max(maxima[0], load(row + i));
    if (i < end) maxima[0] = max(maxima[0], load_filled(row + i, end - i, kLowest));
    const float above = std::max(largest, max(max(max(maxima[0], maxima[1]), max(maxima[2], maxima[3]))));
    const float base = above == kLowest ? 0.0F : above;

    vfloat sums[4] = {};
    i = begin;
    for (; i + 4 * kLanes <= end; i += 4 * kLanes) {
      for (int k = 0; k < 4; ++k) sums[k] += exp(load(row + i + k * kLanes) - base);
    }
    for (; i + kLanes <= end; i += kLanes) sums[0] += exp(load(row + i) - base);
    if (i < end) sums[0] += exp(load_filled(row + i, end - i, kLowest) - base);
    total = (total == 0.0F ? 0.0F : total * std::exp(largest - base)) + sum((sums[0] + sums[1]) + (sums[2] + sums[3]));
    largest = above;
  }
  return (largest == kLowest ? 0.0F : largest) + std::log(total);
}

// The softmax of a row whose logsumexp is known, times `scale`; `result` may be `row` itself.
template <typename T>
void scaled_softmax(const T* row, int64_t count, float logsumexp, float scale, T* result) {
  by_lanes(0, count,
           [=](int64_t i, auto... lanes) { store(result + i, exp(load(row + i, lanes...) - logsumexp) * scale, lanes...); });
}

// The gradient of log sum exp - logit in the logit of the label itself, times `scale`.
inline float label_gradient(float logit, float logsumexp, float scale) {
  return (exp(splat(logit - logsumexp))[0] - 1.0F) * scale;
}

}  // namespace mglmm::cpu
