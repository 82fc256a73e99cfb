// Logits of masks resized to the pixels of a target, column by column, and which pixels read a logit; by the weights of
// kernels/mask_axis.h, which threads work out where they need them.
#pragma once
#include "cuda/number.cuh"
#include "kernels/mask_axis.h"

namespace mglmm::cuda {

// From logits to the pixels of the target.
struct MaskResize {
  MaskAxis rows, columns;
  bool is_identity() const { return rows.is_identity() && columns.is_identity(); }
  __device__ __forceinline__ int64_t low_pixels() const { return rows.in * columns.in; }
  __device__ __forceinline__ int64_t pixels() const { return rows.out * columns.out; }
};

// As MaskTaps has them, in 16 bytes.
struct alignas(16) PackedTaps {
  int32_t first;
  float weights[kMaskTaps];
  __device__ __forceinline__ static PackedTaps of(const MaskAxis& axis, int64_t pixel) {
    const MaskTaps taps = axis.at(pixel);
    return {static_cast<int32_t>(taps.first), {taps.weights[0], taps.weights[1], taps.weights[2]}};
  }
};

// Logits at one column of the target, in three neighbouring rows of their own.
template <typename T>
class MaskColumn {
 public:
  __device__ __forceinline__ MaskColumn(const MaskResize& resize, const T* mask, const PackedTaps& taps)
      : column_(mask + taps.first),
        height_(static_cast<int32_t>(resize.rows.in)),
        width_(static_cast<int32_t>(resize.columns.in)),
        second_(taps.first + 1 < width_ ? 1 : 0),
        third_(taps.first + 2 < width_ ? 2 : second_),
        taps_(taps) {}

  __device__ __forceinline__ void begin(int32_t row) {
    first_ = row;
    for (int k = 0; k < kMaskTaps; ++k) low_[k] = at(row + k);
  }
  __device__ __forceinline__ int32_t first() const { return first_; }
  __device__ __forceinline__ void advance() {
    low_[0] = low_[1];
    low_[1] = low_[2];
    low_[2] = at(++first_ + 2);
  }
  __device__ __forceinline__ float mixed(const PackedTaps& row) const {
    return row.weights[0] * low_[0] + row.weights[1] * low_[1] + row.weights[2] * low_[2];
  }

 private:
  __device__ __forceinline__ float at(int32_t row) const {
    const T* logits = column_ + static_cast<int64_t>(row < height_ ? row : height_ - 1) * width_;
    return taps_.weights[0] * to_float(logits[0]) + taps_.weights[1] * to_float(logits[second_]) +
           taps_.weights[2] * to_float(logits[third_]);
  }

  const T* column_;
  int32_t height_, width_;
  int32_t second_, third_;  // steps to the next logits, none past the last
  int32_t first_ = 0;
  PackedTaps taps_;
  float low_[kMaskTaps] = {};
};

// Pixels among which all are that read a logit in [begin, end).
struct PixelRange {
  int64_t begin, end;
};
__device__ __forceinline__ PixelRange readers(const MaskAxis& axis, int64_t begin, int64_t end) {
  // A pixel lies at (pixel + 0.5) * scale - 0.5 among the logits, and reads none that is two or more away.
  const double pixels = 1 / (axis.scale * axis.input_scale);
  const auto low = static_cast<int64_t>((static_cast<double>(begin) - 1.5) * pixels) - 2;
  const auto high = static_cast<int64_t>((static_cast<double>(end) + 1.5) * pixels) + 2;
  return {begin < kMaskTaps || low < 0 ? 0 : low, end > axis.in - kMaskTaps || high > axis.out ? axis.out : high};
}

// The first of `count` columns that reads `logit` or one after it.
__device__ __forceinline__ int first_reader(const PackedTaps* columns, int count, int32_t logit) {
  int begin = 0, end = count;
  while (begin < end) {
    const int middle = (begin + end) / 2;
    if (columns[middle].first + kMaskTaps <= logit)
      begin = middle + 1;
    else
      end = middle;
  }
  return begin;
}

}  // namespace mglmm::cuda
