// y = weight * (x - mean) * rstd + bias, rstd = 1 / sqrt(variance + eps), mean and (biased) variance over the last axis.
// Ba, Kiros, Hinton 2016, arXiv 1607.06450.
#pragma once
#include "kernels/fields.h"
#include "kernels/tensor.h"

namespace mglmm {

struct LayerNorm {
  ConstTensor x;       // [..., dim]  f32 | bf16 | f16
  ConstTensor weight;  // [dim]  dtype of x
  ConstTensor bias;    // [dim]  dtype of x
  float eps = 1e-5F;
  Tensor y;    // [..., dim]  dtype of x
  Saved mean;  // [...]  f32
  Saved rstd;  // [...]  f32
  MGLMM_OP(layerNorm, x, weight, bias, eps, y, mean, rstd)
};

struct LayerNormBackward {
  ConstTensor dy;      // [..., dim]  dtype of x
  ConstTensor x;       // [..., dim]
  ConstTensor weight;  // [dim]
  ConstTensor mean;    // [...]  f32
  ConstTensor rstd;    // [...]  f32
  Tensor dx;           // [..., dim]  rstd * (g - mean(g) - n * mean(g * n)), g = dy * weight, n = (x - mean) * rstd
  Tensor dweight;      // [dim]  sum of dy * n over the rows
  Tensor dbias;        // [dim]  sum of dy over the rows
  MGLMM_OP(layerNormBackward, dy, x, weight, mean, rstd, dx, dweight, dbias)
};

void check(LayerNorm& op);
void check(LayerNormBackward& op);

}  // namespace mglmm
