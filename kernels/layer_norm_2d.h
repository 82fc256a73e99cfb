// Layer norm over the channels at every pixel: y = weight * (x - mean) * rstd + bias, rstd = 1 / sqrt(variance + eps),
// biased variance. SAM's LayerNorm2d, Kirillov et al. 2023, arXiv 2304.02643.
#pragma once
#include "kernels/fields.h"
#include "kernels/tensor.h"

namespace mglmm {

struct LayerNorm2d {
  ConstTensor x;       // [batch, channels, height, width]  f32 | bf16 | f16
  ConstTensor weight;  // [channels]  dtype of x
  ConstTensor bias;    // [channels]  dtype of x
  float eps = 1e-6F;
  Tensor y;    // [batch, channels, height, width]  dtype of x
  Saved mean;  // [batch, height, width]  f32
  Saved rstd;  // [batch, height, width]  f32
  MGLMM_OP(layerNorm2d, x, weight, bias, eps, y, mean, rstd)
};

struct LayerNorm2dBackward {
  ConstTensor dy;      // [batch, channels, height, width]  dtype of x
  ConstTensor x;       // [batch, channels, height, width]
  ConstTensor weight;  // [channels]
  ConstTensor mean;    // [batch, height, width]  f32
  ConstTensor rstd;    // [batch, height, width]  f32
  Tensor dx;           // as x  rstd * (g - mean(g) - n * mean(g * n)), g = dy * weight, n = (x - mean) * rstd
  Tensor dweight;      // [channels]  sum of dy * n over batch and pixels
  Tensor dbias;        // [channels]  sum of dy over batch and pixels
  MGLMM_OP(layerNorm2dBackward, dy, x, weight, mean, rstd, dx, dweight, dbias)
};

void check(LayerNorm2d& op);
void check(LayerNorm2dBackward& op);

}  // namespace mglmm
