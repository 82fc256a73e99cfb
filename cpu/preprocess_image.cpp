// Along the rows four of them are resized together: their bytes are put in pairs of neighbours, row by row and channel by
// channel, so that sixteen sums grow by two terms at once and no sum crosses lanes. What comes of the columns is normalised
// row by row, so the resized picture is nowhere as a whole.
#include "kernels/preprocess_image.h"

#include <algorithm>
#include <cstring>

#include "cpu/parallel.h"
#include "cpu/pixels.h"
#include "kernels/resize_weights.h"
#include "kernels/stream.h"

namespace mglmm::cpu {
namespace {

constexpr int64_t kRows = 4;
constexpr int64_t kPairBytes = kRows * 4 * 2;  // of four rows, four channels, two neighbours

// Weights in pairs of pixels 2 p and 2 p + 1, for PairSums: weights[(i * pairs + k) * 2], high and low.
struct PairAxis {
  int64_t size;
  int64_t pairs;
  int32_t* first;
  int32_t* count;
  int32_t* weights;
};

PairAxis pairs_of(const ResizeAxis& axis, Stream& stream) {
  const int64_t most = axis.taps / 2 + 1;
  const PairAxis result{axis.size, most, stream.scratch_of<int32_t>(axis.size), stream.scratch_of<int32_t>(axis.size),
                        stream.scratch_of<int32_t>(axis.size * most * 2)};
  for (int64_t i = 0; i < axis.size; ++i) {
    const int32_t first = axis.first[i] / 2;
    const int32_t count = (axis.first[i] + axis.count[i] + 1) / 2 - first;
    const auto weight_of = [&](int64_t pixel) {
      const int64_t k = pixel - axis.first[i];
      return k >= 0 && k < axis.count[i] ? axis.weights[i * axis.taps + k] : 0;
    };
    const auto both = [](int32_t lower, int32_t upper) {
      return static_cast<int32_t>((static_cast<uint32_t>(lower) & 0xffff) | static_cast<uint32_t>(upper) << 16);
    };
    for (int64_t k = 0; k < count; ++k) {
      const int32_t left = weight_of(2 * (first + k));
      const int32_t right = weight_of(2 * (first + k) + 1);
      constexpr int32_t kLow = (1 << PairSums::kLowBits) - 1;
      int32_t* weights = result.weights + (i * most + k) * 2;
      weights[0] = both(left >> PairSums::kLowBits, right >> PairSums::kLowBits);
      weights[1] = both(left & kLow, right & kLow);
    }
    result.first[i] = first;
    result.count[i] = count;
  }
  return result;
}

// Pairs [begin, end) of one row of pixels to every fourth place of 8 bytes; a fourth channel that is not there, and a pixel
// past the end, are 0.
template <int kChannels>
void interleave(const uint8_t* row, int64_t width, int64_t begin, int64_t end, uint8_t* pairs) {
  int64_t p = begin;
  if constexpr (kChannels == 3) {
    for (; 2 * p + 6 <= width && p + 2 <= end; p += 2) {  // 16 bytes are read, of 5 1/3 pixels
      bytes16 pixels;
      std::memcpy(&pixels, row + 6 * p, sizeof pixels);
      pixels = __builtin_shufflevector(pixels, bytes16{}, 0, 3, 1, 4, 2, 5, 16, 16, 6, 9, 7, 10, 8, 11, 16, 16);
      uint64_t halves[2];
      std::memcpy(halves, &pixels, sizeof halves);
      std::memcpy(pairs + p * kPairBytes, halves, 8);
      std::memcpy(pairs + (p + 1) * kPairBytes, halves + 1, 8);
    }
  }
  for (; p < end; ++p) {
    uint8_t bytes[8] = {};
    for (int64_t k = 0; k < 2 && 2 * p + k < width; ++k) {
      for (int channel = 0; channel < kChannels; ++channel) bytes[2 * channel + k] = row[(2 * p + k) * kChannels + channel];
    }
    std::memcpy(pairs + p * kPairBytes, bytes, sizeof bytes);
  }
}

template <int kChannels>
void resize_rows(const uint8_t* image, int64_t rows, int64_t in_width, const PairAxis& axis, uint8_t* y, Stream& stream) {
  const int64_t begin = axis.first[0];
  const int64_t end = axis.first[axis.size - 1] + axis.count[axis.size - 1];
  const int64_t buffer = (end - begin) * kPairBytes;
  auto* scratch = reinterpret_cast<uint8_t*>(stream.scratch(buffer * thread_count()));
  const int64_t grain = kElementGrain / (kRows * axis.size * axis.pairs) + 1;
  parallel_ranges((rows + kRows - 1) / kRows, grain, [=](int64_t begin_group, int64_t end_group) {
    uint8_t* pairs = scratch + buffer * thread_index() - begin * kPairBytes;
    for (int64_t group = begin_group; group < end_group; ++group) {
      const int64_t present = std::min(kRows, rows - group * kRows);
      for (int64_t r = 0; r < kRows; ++r) {  // a row that is not there is another one's copy, and not stored
        const int64_t row = group * kRows + std::min(r, present - 1);
        interleave<kChannels>(image + row * in_width * kChannels, in_width, begin, end, pairs + 8 * r);
      }
      for (int64_t i = 0; i < axis.size; ++i) {
        PairSums sums;
        const uint8_t* from = pairs + axis.first[i] * kPairBytes;
        const int32_t* weights = axis.weights + i * axis.pairs * 2;
        for (int64_t k = 0; k < axis.count[i]; ++k) sums.add(from + k * kPairBytes, weights + 2 * k);
        ints16 lanes;
        sums.store(lanes);
        const bytes16 pixels = narrow((lanes + (1 << (kResizeBits - 1))) >> kResizeBits);
        uint8_t* to = y + (group * kRows * axis.size + i) * kChannels;
        for (int64_t r = 0; r < present; ++r) {
          const auto* stored = reinterpret_cast<const uint8_t*>(&pixels) + 4 * r;
          if constexpr (kChannels == 3) {  // four bytes at once, where the next pixel's first may be overwritten
            if (i + 1 < axis.size) {
              std::memcpy(to + r * axis.size * kChannels, stored, 4);
              continue;
            }
          }
          std::memcpy(to + r * axis.size * kChannels, stored, kChannels);
        }
      }
    }
  });
}

// One row of bytes, of the rows of bytes from `from` on.
void resize_column(const uint8_t* from, int64_t stride, int64_t row_bytes, const int32_t* weights, int64_t count,
                   uint8_t* to) {
  int64_t i = 0;
  for (; i + 16 <= row_bytes; i += 16) {
    ints16 sums = ints16{} + (1 << (kResizeBits - 1));
    for (int64_t k = 0; k < count; ++k) {
      bytes16 bytes;
      std::memcpy(&bytes, from + k * stride + i, sizeof bytes);
      ints16 lanes;
      widen(bytes, lanes);
      sums += lanes * weights[k];
    }
    const bytes16 result = narrow(sums >> kResizeBits);
    std::memcpy(to + i, &result, sizeof result);
  }
  for (; i < row_bytes; ++i) {
    int32_t sum = 1 << (kResizeBits - 1);
    for (int64_t k = 0; k < count; ++k) sum += from[k * stride + i] * weights[k];
    to[i] = static_cast<uint8_t>(std::clamp(sum >> kResizeBits, 0, 255));
  }
}

// The result of the picture's rows, whose columns are `axis`: rows of the image `stride` bytes apart.
template <typename T>
void finish_rows(const PreprocessImage& op, const uint8_t* rows, int64_t stride, const ResizeAxis& axis, Stream& stream) {
  const int64_t channels = op.image.shape[2], columns = op.columns();
  const int64_t row_bytes = columns * channels;
  const int64_t width = op.width, plane = op.height * width;
  T* results = stream.scratch_of<T>(256 * channels);  // of a channel's bytes, once: there is nothing else to compute
  for (int64_t i = 0; i < 256 * channels; ++i) results[i] = T(op.normalized(i / 256, i % 256));
  auto* buffers = reinterpret_cast<uint8_t*>(stream.scratch(row_bytes * thread_count()));
  T* y = op.y.data<T>();
  parallel_ranges(axis.size, kElementGrain / (row_bytes * axis.taps) + 1, [=](int64_t begin, int64_t end) {
    uint8_t* resized = buffers + row_bytes * thread_index();
    for (int64_t row = begin; row < end; ++row) {
      resize_column(rows + axis.first[row] * stride, stride, row_bytes, axis.weights + row * axis.taps, axis.count[row],
                    resized);
      for (int64_t channel = 0; channel < channels; ++channel) {
        T* to = y + channel * plane + row * width;
        const T* of = results + 256 * channel;
        for (int64_t i = 0; i < columns; ++i) to[i] = of[resized[i * channels + channel]];
        std::fill(to + columns, to + width, T(0.0F));
      }
    }
  });
  const int64_t below = (op.height - axis.size) * width;
  for (int64_t channel = 0; channel < channels; ++channel) {
    T* to = y + channel * plane + axis.size * width;
    parallel_ranges(below, kElementGrain, [=](int64_t begin, int64_t end) { std::fill(to + begin, to + end, T(0.0F)); });
  }
}

}  // namespace

void run(const PreprocessImage& op, Stream& stream) {
  if (op.y.count() == 0) return;
  if (op.rows() * op.columns() == 0) {
    std::memset(op.y.raw(), 0, static_cast<size_t>(op.y.bytes()));
    return;
  }
  const int64_t in_width = op.image.shape[1], channels = op.image.shape[2];
  const auto numbers = [&](int64_t count) { return stream.scratch_of<int32_t>(count); };
  const ResizeAxis vertical = resize_axis(op.filter, op.image.shape[0], op.resizedHeight, op.top, op.rows(), numbers);
  const int64_t begin = vertical.read_begin(), end = vertical.read_end();  // rows of the image that are read
  int64_t stride = in_width * channels;
  const auto* rows = op.image.data<uint8_t>() + begin * stride + op.left * channels;
  if (op.resizedWidth != in_width) {
    const PairAxis pairs =
        pairs_of(resize_axis(op.filter, in_width, op.resizedWidth, op.left, op.columns(), numbers), stream);
    const uint8_t* image = op.image.data<uint8_t>() + begin * stride;
    stride = op.columns() * channels;
    auto* resized = reinterpret_cast<uint8_t*>(stream.scratch((end - begin) * stride));
    switch (channels) {
      case 1: resize_rows<1>(image, end - begin, in_width, pairs, resized, stream); break;
      case 2: resize_rows<2>(image, end - begin, in_width, pairs, resized, stream); break;
      case 3: resize_rows<3>(image, end - begin, in_width, pairs, resized, stream); break;
      default: resize_rows<4>(image, end - begin, in_width, pairs, resized, stream); break;
    }
    rows = resized;
  }
  by_dtype(op.dtype, [&]<typename T>(Type<T>) { finish_rows<T>(op, rows - begin * stride, stride, vertical, stream); });
}

}  // namespace mglmm::cpu
