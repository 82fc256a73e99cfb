// How op maskLoss takes logits to the pixels of a target along one axis: resized to the network's input, cut to what of it
// is picture, resized to the picture, each as op bilinear does. Together that is one linear map, by which a pixel is a sum
// of at most three neighbouring logits, because the input is not smaller than the logits are.
#pragma once
#include <algorithm>
#include <array>
#include <cstdint>

namespace mglmm {

inline constexpr int kMaskTaps = 3;

// A pixel is made of logits first, first + 1 and first + 2; one past the end has no weight.
struct MaskTaps {
  int64_t first;
  std::array<float, kMaskTaps> weights;
};

struct MaskAxis {
  int64_t in;                 // logits
  int64_t input;              // pixels of the network's input; `in` where there is no such step
  int64_t resized;            // of those, what is picture
  int64_t out;                // pixels of the target
  double input_scale, scale;  // logits a pixel of the input, and pixels of the input a pixel of the target

  constexpr MaskAxis(int64_t in_size, int64_t input_size, int64_t resized_size, int64_t out_size)
      : in(in_size),
        input(input_size == 0 ? in_size : input_size),
        resized(input_size == 0 ? in_size : resized_size),
        out(out_size),
        input_scale(static_cast<double>(in) / static_cast<double>(input)),
        scale(static_cast<double>(resized) / static_cast<double>(out)) {}

  constexpr bool is_identity() const { return in == input && in == resized && in == out; }

  // `first` never falls from one pixel to the next.
  constexpr MaskTaps at(int64_t pixel) const {
    const Between picture = between(pixel, scale, resized);
    const Between lower = between(picture.low, input_scale, in);
    const Between upper = between(picture.low + 1, input_scale, in);
    MaskTaps taps{std::max<int64_t>(std::min(lower.low, in - kMaskTaps), 0), {}};
    for (int k = 0; k < kMaskTaps; ++k) {
      const double mixed = (1 - picture.upper) * lower.share(taps.first + k) + picture.upper * upper.share(taps.first + k);
      taps.weights[static_cast<size_t>(k)] = static_cast<float>(mixed);
    }
    return taps;
  }

 private:
  // Positions `low` and `low + 1`, the latter with weight `upper`.
  struct Between {
    int64_t low;
    double upper;
    constexpr double share(int64_t position) const { return position == low ? 1 - upper : position == low + 1 ? upper : 0; }
  };
  static constexpr Between between(int64_t i, double positions, int64_t size) {
    const double position = std::max((static_cast<double>(i) + 0.5) * positions - 0.5, 0.0);
    const auto low = static_cast<int64_t>(position);
    if (low >= size - 1) return {size - 1, 0};
    return {low, position - static_cast<double>(low)};
  }
};

}  // namespace mglmm
