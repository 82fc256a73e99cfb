// Resizes photographs as Pillow does, bit for bit: first along the rows, then down the columns, each pass a weighted mean of
// the pixels under the filter, widened by the factor an image shrinks so that nothing aliases; weights are whole multiples
// of 2^-22, and each pass rounds to u8. A pass that keeps its size is skipped. Keys 1981 (cubic convolution, a = -1/2).
#pragma once
#include <array>

#include "kernels/fields.h"
#include "kernels/tensor.h"

namespace mglmm {

enum class ResizeFilter : uint8_t { bilinear, bicubic };
constexpr std::array<const char*, 2> enum_names(ResizeFilter) { return {"bilinear", "bicubic"}; }

struct ResizeImage {
  ConstTensor image;   // [inHeight, inWidth, channels]  u8, 1 to 4 channels
  int64_t height = 0;  // of the whole result
  int64_t width = 0;
  ResizeFilter filter = ResizeFilter::bilinear;
  int64_t top = 0;  // of the result, what is made: from here on
  int64_t left = 0;
  int64_t cropHeight = -1;  // so much of it; -1: the rest
  int64_t cropWidth = -1;
  Tensor y;  // [cropHeight, cropWidth, channels]  u8
  MGLMM_OP(resizeImage, image, height, width, filter, top, left, cropHeight, cropWidth, y)
};

void check(ResizeImage& op);

}  // namespace mglmm
