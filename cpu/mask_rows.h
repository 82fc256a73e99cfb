// Logits of masks resized to the pixels of a target, a row at a time, and gradients of pixels taken back to the logits; each
// by the weights of kernels/mask_axis.h.
#pragma once
#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "cpu/interpolate.h"
#include "kernels/mask_axis.h"

namespace mglmm::cpu {

// What each pixel along an axis reads: logits first[i] and the two after it.
struct MaskTable {
  int64_t in;
  std::vector<int32_t> first;
  std::array<std::vector<float>, kMaskTaps> weights;

  explicit MaskTable(const MaskAxis& axis) : in(axis.in), first(static_cast<size_t>(axis.out)) {
    for (auto& tap : weights) tap.resize(first.size());
    for (size_t i = 0; i < first.size(); ++i) {
      const MaskTaps taps = axis.at(static_cast<int64_t>(i));
      first[i] = static_cast<int32_t>(taps.first);
      for (size_t k = 0; k < weights.size(); ++k) weights[k][i] = taps.weights[k];
    }
  }

  // The first pixel that reads `logit` or one after it.
  int64_t readers_begin(int64_t logit) const {
    return std::lower_bound(first.begin(), first.end(), logit - (kMaskTaps - 1)) - first.begin();
  }
  int64_t readers_end(int64_t logit) const { return std::upper_bound(first.begin(), first.end(), logit) - first.begin(); }
  std::array<float, kMaskTaps> taps(int64_t pixel) const {
    const auto i = static_cast<size_t>(pixel);
    return {weights[0][i], weights[1][i], weights[2][i]};
  }
};

// The other way round: logit i gets the pixels from begin[i] on, as many as there are weights from offset[i] to
// offset[i + 1].
struct MaskReaders {
  std::vector<int64_t> begin, offset{0};
  std::vector<float> weights;

  explicit MaskReaders(const MaskTable& axis) {
    for (int64_t logit = 0; logit < axis.in; ++logit) {
      int64_t pixel = axis.readers_begin(logit);
      const int64_t end = axis.readers_end(logit);
      const auto weight = [&] {
        return axis.weights[static_cast<size_t>(logit - axis.first[static_cast<size_t>(pixel)])][static_cast<size_t>(pixel)];
      };
      while (pixel < end && weight() == 0) ++pixel;
      begin.push_back(pixel);
      for (; pixel < end; ++pixel) weights.push_back(weight());
      offset.push_back(static_cast<int64_t>(weights.size()));
    }
  }

  // One row of logits' gradients of one as wide as the target.
  template <typename T>
  void gather(const float* row, T* to) const {
    for (size_t i = 0; i < begin.size(); ++i) {
      const float* from = row + begin[i] - offset[i];
      float sum = 0;
      for (int64_t k = offset[i]; k < offset[i + 1]; ++k) sum += weights[static_cast<size_t>(k)] * from[k];
      to[i] = T(sum);
    }
  }
};

// The rows of one mask's logits at the width of the target; the last three are kept.
template <typename T>
class WideRows {
 public:
  WideRows(const MaskTable& columns, int64_t height, float* memory)
      : columns_(columns),
        height_(height),
        width_(static_cast<int64_t>(columns.first.size())),
        low_(memory),
        wide_(low_ + padded(columns.in)) {
    std::memset(low_, 0, static_cast<size_t>(padded(columns.in)) * sizeof(float));
  }
  // That it needs.
  static int64_t floats(const MaskTable& columns) {
    return padded(columns.in) + kMaskTaps * static_cast<int64_t>(columns.first.size());
  }

  void begin(const T* mask) {
    mask_ = mask;
    number_ = {-1, -1, -1};
  }

  // Of the logits of a row of pixels.
  auto mixed(int64_t first, const std::array<float, kMaskTaps>& weights) {
    const float* rows[kMaskTaps];
    for (int64_t k = 0; k < kMaskTaps; ++k) rows[k] = row(std::min(first + k, height_ - 1));
    return [=](int64_t i, auto... lanes) {
      return weights[0] * load(rows[0] + i, lanes...) + weights[1] * load(rows[1] + i, lanes...) +
             weights[2] * load(rows[2] + i, lanes...);
    };
  }

 private:
  static int64_t padded(int64_t in) { return in + kMaskTaps + kLanes; }

  const float* row(int64_t number) {
    float* wide = wide_ + number % kMaskTaps * width_;
    int64_t& kept = number_[static_cast<size_t>(number % kMaskTaps)];
    if (kept == number) return wide;
    kept = number;
    by_lanes(0, columns_.in,
             [&](int64_t i, auto... lanes) { store(low_ + i, load(mask_ + number * columns_.in + i, lanes...), lanes...); });
    const int32_t* first = columns_.first.data();
    const auto& [near, next, last] = columns_.weights;
    int64_t i = 0;
    for (; i + kLanes <= width_; i += kLanes) {
      store(wide + i, load(near.data() + i) * at_each(low_, first + i) +
                          load(next.data() + i) * at_each(low_ + 1, first + i) +
                          load(last.data() + i) * at_each(low_ + 2, first + i));
    }
    for (; i < width_; ++i) {
      const auto weights = columns_.taps(i);
      const float* logits = low_ + first[i];
      wide[i] = weights[0] * logits[0] + weights[1] * logits[1] + weights[2] * logits[2];
    }
    return wide;
  }

  const MaskTable& columns_;
  int64_t height_, width_;
  float* low_;   // a row of logits, and zeros behind it
  float* wide_;  // rows, each at its number modulo three
  std::array<int64_t, kMaskTaps> number_{};
  const T* mask_ = nullptr;
};

}  // namespace mglmm::cpu
