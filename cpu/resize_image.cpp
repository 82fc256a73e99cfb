#include "kernels/resize_image.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "cpu/parallel.h"
#include "cpu/pixels.h"
#include "kernels/stream.h"

namespace mglmm::cpu {
namespace {

constexpr int kBits = 22;  // of a weight's fraction: 8 bits of the pixel and 2 of overshoot leave 22 of 32

double filter_at(ResizeFilter filter, double x) {
  x = std::abs(x);
  if (filter == ResizeFilter::bilinear) return x < 1 ? 1 - x : 0;
  constexpr double a = -0.5;
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

// Along one axis: result i is the mean of pixels first[i] .. first[i] + count[i] - 1, weighted by
// weights[i * taps ...], where taps is a multiple of 4 and weights behind the last pixel are 0.
struct Axis {
  int64_t taps;
  int32_t* first;
  int32_t* count;
  int32_t* weights;
};

Axis axis_of(ResizeFilter filter, int64_t in, int64_t out, Stream& stream) {
  const double scale = static_cast<double>(in) / static_cast<double>(out);
  const double widened = std::max(scale, 1.0);
  const double support = (filter == ResizeFilter::bilinear ? 1.0 : 2.0) * widened;
  const int64_t taps = (static_cast<int64_t>(std::ceil(support)) * 2 + 1 + 3) / 4 * 4;
  const Axis axis{taps, stream.scratch_of<int32_t>(out), stream.scratch_of<int32_t>(out),
                  stream.scratch_of<int32_t>(out * taps)};
  double* exact = stream.scratch_of<double>(taps);
  for (int64_t i = 0; i < out; ++i) {
    const double centre = (static_cast<double>(i) + 0.5) * scale;
    const int64_t first = std::max<int64_t>(static_cast<int64_t>(std::floor(centre - support + 0.5)), 0);
    const int64_t count = std::min<int64_t>(static_cast<int64_t>(std::floor(centre + support + 0.5)), in) - first;
    double sum = 0;
    for (int64_t k = 0; k < count; ++k) {
      exact[k] = filter_at(filter, (static_cast<double>(first + k) - centre + 0.5) * (1.0 / widened));
      sum += exact[k];
    }
    int32_t* weights = axis.weights + i * taps;
    std::fill(weights, weights + taps, 0);
    for (int64_t k = 0; k < count; ++k) {
      const double weight = (sum != 0 ? exact[k] / sum : exact[k]) * (1 << kBits);
      weights[k] = static_cast<int32_t>(weight < 0 ? weight - 0.5 : weight + 0.5);
    }
    axis.first[i] = static_cast<int32_t>(first);
    axis.count[i] = static_cast<int32_t>(count);
  }
  return axis;
}

inline uint8_t rounded(int32_t sum) { return static_cast<uint8_t>(std::clamp(sum >> kBits, 0, 255)); }

// One row, whose memory goes on for 64 bytes of any content. Three or four channels: 4 pixels at once, a lane a channel.
template <int kChannels>
void resize_row(const uint8_t* row, const Axis& axis, int64_t width, uint8_t* y) {
  for (int64_t i = 0; i < width; ++i, y += kChannels) {
    const uint8_t* pixels = row + axis.first[i] * kChannels;
    const int32_t* weights = axis.weights + i * axis.taps;
    if constexpr (kChannels >= 3) {
      ints16 sums{};
      for (int64_t k = 0; k < axis.count[i]; k += 4) {
        bytes16 bytes;
        std::memcpy(&bytes, pixels + k * kChannels, sizeof bytes);
        if constexpr (kChannels == 3) {
          bytes = __builtin_shufflevector(bytes, bytes, 0, 1, 2, 2, 3, 4, 5, 5, 6, 7, 8, 8, 9, 10, 11, 11);
        }
        ints4 weight;
        std::memcpy(&weight, weights + k, sizeof weight);
        ints16 lanes, factors;
        widen(bytes, lanes);
        spread(weight, factors);
        sums += lanes * factors;
      }
      const ints4 sum = __builtin_shufflevector(sums, sums, 0, 1, 2, 3) + __builtin_shufflevector(sums, sums, 4, 5, 6, 7) +
                        __builtin_shufflevector(sums, sums, 8, 9, 10, 11) +
                        __builtin_shufflevector(sums, sums, 12, 13, 14, 15) + (1 << (kBits - 1));
      for (int channel = 0; channel < kChannels; ++channel) y[channel] = rounded(sum[channel]);
    } else {
      for (int channel = 0; channel < kChannels; ++channel) {
        int32_t sum = 1 << (kBits - 1);
        for (int64_t k = 0; k < axis.count[i]; ++k) sum += pixels[k * kChannels + channel] * weights[k];
        y[channel] = rounded(sum);
      }
    }
  }
}

void resize_rows(const uint8_t* image, int64_t rows, int64_t in_width, int64_t channels, const Axis& axis, int64_t width,
                 uint8_t* y, Stream& stream) {
  const int64_t row_bytes = in_width * channels;
  uint8_t* padded = reinterpret_cast<uint8_t*>(stream.scratch((row_bytes + 64) * thread_count()));
  parallel_ranges(rows, kElementGrain / (width * axis.taps) + 1, [=](int64_t begin, int64_t end) {
    uint8_t* row = padded + (row_bytes + 64) * thread_index();
    std::memset(row + row_bytes, 0, 64);
    for (int64_t r = begin; r < end; ++r) {
      std::memcpy(row, image + r * row_bytes, static_cast<size_t>(row_bytes));
      uint8_t* to = y + r * width * channels;
      switch (channels) {
        case 1: resize_row<1>(row, axis, width, to); break;
        case 2: resize_row<2>(row, axis, width, to); break;
        case 3: resize_row<3>(row, axis, width, to); break;
        default: resize_row<4>(row, axis, width, to); break;
      }
    }
  });
}

void resize_columns(const uint8_t* image, int64_t row_bytes, const Axis& axis, int64_t height, uint8_t* y) {
  parallel_ranges(height, kElementGrain / (row_bytes * axis.taps) + 1, [=](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const uint8_t* from = image + axis.first[r] * row_bytes;
      const int32_t* weights = axis.weights + r * axis.taps;
      uint8_t* to = y + r * row_bytes;
      int64_t i = 0;
      for (; i + 16 <= row_bytes; i += 16) {
        ints16 sums = ints16{} + (1 << (kBits - 1));
        for (int64_t k = 0; k < axis.count[r]; ++k) {
          bytes16 bytes;
          std::memcpy(&bytes, from + k * row_bytes + i, sizeof bytes);
          ints16 lanes;
          widen(bytes, lanes);
          sums += lanes * weights[k];
        }
        const bytes16 result = narrow(sums >> kBits);
        std::memcpy(to + i, &result, sizeof result);
      }
      for (; i < row_bytes; ++i) {
        int32_t sum = 1 << (kBits - 1);
        for (int64_t k = 0; k < axis.count[r]; ++k) sum += from[k * row_bytes + i] * weights[k];
        to[i] = rounded(sum);
      }
    }
  });
}

}  // namespace

void run(const ResizeImage& op, Stream& stream) {
  if (op.y.count() == 0) return;
  const int64_t in_height = op.image.shape[0];
  const int64_t in_width = op.image.shape[1];
  const int64_t channels = op.image.shape[2];
  const auto* image = op.image.data<uint8_t>();
  auto* y = op.y.data<uint8_t>();
  if (op.width != in_width) {
    const bool last = op.height == in_height;
    auto* rows = last ? y : reinterpret_cast<uint8_t*>(stream.scratch(in_height * op.width * channels));
    const Axis axis = axis_of(op.filter, in_width, op.width, stream);
    resize_rows(image, in_height, in_width, channels, axis, op.width, rows, stream);
    if (last) return;
    image = rows;
  }
  if (op.height == in_height)
    std::memcpy(y, image, static_cast<size_t>(op.y.bytes()));
  else
    resize_columns(image, op.width * channels, axis_of(op.filter, in_height, op.height, stream), op.height, y);
}

}  // namespace mglmm::cpu
