// y[c, row, column] = (image[top + row, left + column, c] * rescale - mean[c]) / std[c] where the image has that pixel, and
// 0 on the right and below it: pixels to a network's input.
#pragma once
#include <vector>

#include "kernels/fields.h"
#include "kernels/tensor.h"

namespace mglmm {

struct NormalizeImage {
  ConstTensor image;  // [inHeight, inWidth, channels]  u8
  std::vector<double> mean;
  std::vector<double> std;
  double rescale = 1;
  int64_t top = 0;
  int64_t left = 0;
  int64_t height = 0;
  int64_t width = 0;
  Dtype dtype = Dtype::f32;
  Tensor y;  // [channels, height, width]  dtype
  MGLMM_OP(normalizeImage, image, mean, std, rescale, top, left, height, width, dtype, y)
};

void check(NormalizeImage& op);

}  // namespace mglmm
