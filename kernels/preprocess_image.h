// A photograph as a network takes it: resized, cut or padded, normalised, channels first.
// It is resized as Pillow does, bit for bit: first along the rows, then down the columns, each pass a weighted mean of the
// pixels under the filter, widened by the factor an image shrinks so that nothing aliases; weights are whole multiples of
// 2^-22, and each pass rounds to u8. Keys 1981 (cubic convolution, a = -1/2). Then
// y[0, c, row, column] = (resized[top + row, left + column, c] * rescale - mean[c]) / std[c] where the resized picture has
// that pixel, and 0 on the right and below it.
#pragma once
#include <algorithm>
#include <array>
#include <vector>

#include "kernels/fields.h"
#include "kernels/tensor.h"

namespace mglmm {

enum class ResizeFilter : uint8_t { bilinear, bicubic };
constexpr std::array<const char*, 2> enum_names(ResizeFilter) { return {"bilinear", "bicubic"}; }

struct PreprocessImage {
  ConstTensor image;          // [inHeight, inWidth, channels]  u8, 1 to 4 channels
  int64_t resizedHeight = 0;  // of the whole picture
  int64_t resizedWidth = 0;
  ResizeFilter filter = ResizeFilter::bilinear;
  int64_t top = 0;  // of the resized picture, what the result begins with
  int64_t left = 0;
  int64_t height = 0;  // of the result
  int64_t width = 0;
  double rescale = 1;
  std::vector<double> mean;  // a number a channel
  std::vector<double> std;
  Dtype dtype = Dtype::f32;
  Tensor y;  // [1, channels, height, width]  dtype
  MGLMM_OP(preprocessImage, image, resizedHeight, resizedWidth, filter, top, left, height, width, rescale, mean, std, dtype,
           y)

  // Of the result, what is picture.
  int64_t rows() const { return std::min(height, resizedHeight - top); }
  int64_t columns() const { return std::min(width, resizedWidth - left); }
  // What a byte of a channel becomes.
  float normalized(int64_t channel, int64_t byte) const {
    const auto c = static_cast<size_t>(channel);
    return static_cast<float>((static_cast<double>(byte) * rescale - mean[c]) / std[c]);
  }
};

void check(PreprocessImage& op);

}  // namespace mglmm
