// The weights by which op preprocessImage resizes, which no backend may compute another way: f64, rounded to whole multiples
// of 2^-22.
#pragma once
#include <algorithm>
#include <cmath>

#include "kernels/preprocess_image.h"

namespace mglmm {

inline constexpr int kResizeBits = 22;  // of a weight's fraction: 8 bits of the pixel and 2 of overshoot leave 22 of 32

inline double resize_filter_at(ResizeFilter filter, double x) {
  x = std::abs(x);
  if (filter == ResizeFilter::bilinear) return x < 1 ? 1 - x : 0;
  constexpr double a = -0.5;
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

// Along one axis, for `size` results: result i is the mean of pixels first[i] .. first[i] + count[i] - 1, weighted by
// weights[i * taps ...].
struct ResizeAxis {
  int64_t size;
  int64_t taps;
  int32_t* first;
  int32_t* count;
  int32_t* weights;
  // Pixels [read_begin(), read_end()) are read.
  int64_t read_begin() const { return first[0]; }
  int64_t read_end() const { return first[size - 1] + count[size - 1]; }
};

// Results from `begin` on of `out` that are made of `in` pixels. `numbers(n)` is memory for n int32_t, asked for three
// times.
template <typename Numbers>
ResizeAxis resize_axis(ResizeFilter filter, int64_t in, int64_t out, int64_t begin, int64_t size, Numbers&& numbers) {
  const double scale = static_cast<double>(in) / static_cast<double>(out);
  const double widened = std::max(scale, 1.0);
  const double support = (filter == ResizeFilter::bilinear ? 1.0 : 2.0) * widened;
  const int64_t taps = static_cast<int64_t>(std::ceil(support)) * 2 + 1;
  const ResizeAxis axis{size, taps, numbers(size), numbers(size), numbers(size * taps)};
  for (int64_t i = 0; i < size; ++i) {
    const double centre = (static_cast<double>(begin + i) + 0.5) * scale;
    const int64_t first = std::max<int64_t>(static_cast<int64_t>(std::floor(centre - support + 0.5)), 0);
    const int64_t count = std::min<int64_t>(static_cast<int64_t>(std::floor(centre + support + 0.5)), in) - first;
    const auto exact = [&](int64_t k) {
      return resize_filter_at(filter, (static_cast<double>(first + k) - centre + 0.5) * (1.0 / widened));
    };
    double sum = 0;
    for (int64_t k = 0; k < count; ++k) sum += exact(k);
    for (int64_t k = 0; k < count; ++k) {
      const double weight = (sum != 0 ? exact(k) / sum : exact(k)) * (1 << kResizeBits);
      axis.weights[i * taps + k] = static_cast<int32_t>(weight < 0 ? weight - 0.5 : weight + 0.5);
    }
    axis.first[i] = static_cast<int32_t>(first);
    axis.count[i] = static_cast<int32_t>(count);
  }
  return axis;
}

}  // namespace mglmm
