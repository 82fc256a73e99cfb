// Rows of the picture are made one after the other from two rows of the input's size, and those from two rows of logits;
// only the last two are kept. Most of a picture is not mask: between numbers that are not above 0 no interpolation is above
// 0, however it rounds, so only columns near some logit above 0 are computed.
#include "kernels/mask_bits.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "cpu/interpolate.h"
#include "cpu/parallel.h"
#include "kernels/stream.h"

namespace mglmm::cpu {
namespace {

// Columns [begin, end) of a row; none when begin >= end.
struct Extent {
  int64_t begin;
  int64_t end;
};
constexpr Extent kNone{int64_t{1} << 30, 0};
Extent joined(Extent a, Extent b) { return {std::min(a.begin, b.begin), std::max(a.end, b.end)}; }

// The output positions that read any of the positions in `read`.
Extent readers(const Positions& positions, Extent read) {
  const auto& lower = positions.lower;
  const auto first = std::lower_bound(lower.begin(), lower.end(), static_cast<int32_t>(read.begin - 1));
  const auto last = std::lower_bound(first, lower.end(), static_cast<int32_t>(read.end));
  return {first - lower.begin(), last - lower.begin()};
}

// A bit a lane: 1 where the value is above.
inline uint32_t lanes_above(vfloat values, float threshold) {
#if defined(__AVX512F__)
  return _mm512_cmp_ps_mask(std::bit_cast<__m512>(values), _mm512_set1_ps(threshold), _CMP_GT_OQ);
#elif defined(__AVX2__)
  const auto above = _mm256_cmp_ps(std::bit_cast<__m256>(values), _mm256_set1_ps(threshold), _CMP_GT_OQ);
  return static_cast<uint32_t>(_mm256_movemask_ps(above));
#else
  uint32_t bits = 0;
  for (int lane = 0; lane < kLanes; ++lane) bits |= static_cast<uint32_t>(values[lane] > threshold) << lane;
  return bits;
#endif
}

struct Resizes {
  Positions input_rows, input_columns;  // from logits to the input
  Positions rows, columns;              // from the input's part that is picture to the picture
  float threshold;
  bool everywhere;  // compute all columns

  explicit Resizes(const MaskBits& op)
      : input_rows(op.logits.shape[-2], op.inputSize),
        input_columns(op.logits.shape[-1], op.inputSize),
        rows(op.resizedHeight, op.height),
        columns(op.resizedWidth, op.width),
        threshold(static_cast<float>(op.threshold)),
        everywhere(op.threshold < 0 || !input_rows.growing) {
    // As op packBits: the largest f32 that is not above the threshold.
    if (static_cast<double>(threshold) > op.threshold) threshold = std::nextafter(threshold, -INFINITY);
  }
};

// One mask after the other, its rows in order, in memory of one thread.
template <typename T>
class MaskRows {
 public:
  MaskRows(const MaskBits& op, const Resizes& resizes, std::byte* memory)
      : op_(op),
        resizes_(resizes),
        low_height_(op.logits.shape[-2]),
        low_width_(op.logits.shape[-1]),
        extents_(reinterpret_cast<Extent*>(memory)),
        mixed_(reinterpret_cast<float*>(extents_ + low_height_)),
        row_(mixed_ + stretchable(low_width_)),
        kept_{row_ + stretchable(op.resizedWidth), row_ + stretchable(op.resizedWidth) + op.resizedWidth} {
    std::memset(memory, 0, static_cast<size_t>(bytes(op)));
  }

  static int64_t bytes(const MaskBits& op) {
    const int64_t floats = stretchable(op.logits.shape[-1]) + stretchable(op.resizedWidth) + 2 * op.resizedWidth;
    return op.logits.shape[-2] * static_cast<int64_t>(sizeof(Extent)) + floats * static_cast<int64_t>(sizeof(float));
  }

  void begin(const T* logits) {
    logits_ = logits;
    number_[0] = number_[1] = -1;
    for (int64_t y = 0; y < low_height_; ++y) {
      Extent extent = kNone;
      by_lanes(0, low_width_, [&](int64_t i, auto... lanes) {
        if (lanes_above(load(logits + y * low_width_ + i, lanes...), 0) != 0)
          extent = joined(extent, {i, std::min(i + kLanes, low_width_)});
      });
      extents_[y] = resizes_.everywhere ? Extent{0, low_width_} : extent;
    }
  }

  // Row `o` of the picture as bits, 8 ceil(width / 64) bytes.
  void write(int64_t o, uint8_t* bits) {
    std::memset(bits, 0, static_cast<size_t>(op_.bits.shape[-1]));
    const auto at = static_cast<size_t>(o);
    const int64_t lower = resizes_.rows.lower[at];
    const int64_t low = resizes_.input_rows.lower[static_cast<size_t>(lower)];
    Extent input = readers(resizes_.input_columns, above_zero(low, low + 2));
    input.end = std::min(input.end, op_.resizedWidth);
    if (input.begin >= input.end) return;
    const float* below = input_row(lower);
    const float* above = lower + 1 < op_.resizedHeight ? input_row(lower + 1) : below;
    const Extent around = neighbours(input);
    mix_rows(below, above, resizes_.rows.upper[at], around.begin, around.end, op_.resizedWidth, row_);
    const Extent columns = readers(resizes_.columns, input);
    if (columns.begin >= columns.end) return;  // all of it lies beyond the last column
    const int64_t begin = columns.begin / kLanes * kLanes;
    stretch(row_, resizes_.columns, begin, columns.end, [&](int64_t i, auto value) {
      if constexpr (sizeof value == sizeof(float)) {
        bits[i / 8] = static_cast<uint8_t>(bits[i / 8] | (value > resizes_.threshold) << (i % 8));
      } else {
        const uint32_t above_threshold = lanes_above(value, resizes_.threshold);
        std::memcpy(bits + i / 8, &above_threshold, kLanes / 8);
      }
    });
    // What lies before the first column was made of what an earlier row left there.
    std::memset(bits + begin / 8, 0, static_cast<size_t>(columns.begin / 8 - begin / 8));
    bits[columns.begin / 8] = static_cast<uint8_t>(bits[columns.begin / 8] & (0xff << (columns.begin % 8)));
  }

 private:
  // Columns of logits around those above 0 in rows [begin, end].
  Extent above_zero(int64_t begin, int64_t end) const {
    Extent extent = kNone;
    for (int64_t y = std::max<int64_t>(begin, 0); y <= std::min(end, low_height_ - 1); ++y)
      extent = joined(extent, extents_[y]);
    return extent;
  }

  // And what is read where those are.
  Extent neighbours(Extent input) const {
    return {std::max<int64_t>(input.begin - 1, 0), std::min(input.end + 1, op_.resizedWidth)};
  }

  // A row at the input's size, as far as any row of the picture reads it.
  const float* input_row(int64_t number) {
    float* row = kept_[number & 1];  // two neighbours never want one place
    if (number_[number & 1] == number) return row;
    number_[number & 1] = number;
    const auto o = static_cast<size_t>(number);
    const int64_t low = resizes_.input_rows.lower[o];
    const T* below = logits_ + low * low_width_;
    const T* above = low + 1 < low_height_ ? below + low_width_ : below;
    mix_rows(below, above, resizes_.input_rows.upper[o], 0, low_width_, low_width_, mixed_);
    // The rows of the picture that read this one read its neighbours too, which read one row of logits less, or more.
    Extent extent = readers(resizes_.input_columns, above_zero(low - 1, low + 2));
    extent.end = std::min(extent.end, op_.resizedWidth);
    extent = neighbours(extent);
    stretch(mixed_, resizes_.input_columns, extent.begin, extent.end, [row](int64_t i, auto value) {
      if constexpr (sizeof value == sizeof(float))
        row[i] = value;
      else
        store(row + i, value);
    });
    return row;
  }

  const MaskBits& op_;
  const Resizes& resizes_;
  int64_t low_height_, low_width_;
  Extent* extents_;  // of each row of logits
  float* mixed_;     // a row of logits
  float* row_;       // a row at the input's size, mixed from two
  float* kept_[2];   // those two
  int64_t number_[2] = {-1, -1};
  const T* logits_ = nullptr;
};

}  // namespace

void run(const MaskBits& op, Stream& stream) {
  if (op.bits.count() == 0) return;
  const Resizes resizes(op);
  const int64_t row_bytes = op.bits.shape[-1];
  by_dtype(op.logits.dtype, [&]<typename T>(Type<T>) {
    const int64_t bytes = (MaskRows<T>::bytes(op) + 63) / 64 * 64;
    std::byte* memory = stream.scratch(bytes * thread_count());
    const int64_t pixels = op.logits.shape[-2] * op.logits.shape[-1];
    parallel_ranges(op.bits.count() / row_bytes, kElementGrain / op.width + 1, [&](int64_t begin, int64_t end) {
      MaskRows<T> rows(op, resizes, memory + bytes * thread_index());
      for (int64_t line = begin; line < end; ++line) {
        const int64_t row = line % op.height;
        if (line == begin || row == 0) rows.begin(op.logits.data<T>() + line / op.height * pixels);
        rows.write(row, op.bits.data<uint8_t>() + line * row_bytes);
      }
    });
  });
}

}  // namespace mglmm::cpu
