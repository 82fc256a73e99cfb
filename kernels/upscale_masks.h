// Masks out of the tokens of an image, the end of SAM's mask decoder (Kirillov et al. 2023, arXiv 2304.02643): each token
// becomes a block of 4 x 4 pixels by two transposed convolutions whose stride is their kernel of 2,
//   up = gelu(convTranspose(gelu(layerNorm2d(convTranspose(x, weight1, bias1))), weight2, bias2)),
// and a mask is the product of an output's channels with those of every pixel, y[m, o] = sum over c of hyper[m, o, c] up[m,
// c]. Nothing between x and y is held but for the tokens at hand; sums in f32.
#pragma once
#include "kernels/fields.h"
#include "kernels/tensor.h"

namespace mglmm {

struct UpscaleMasks {
  ConstTensor x;           // [masks, tokens, dim]  row by row, f32 | bf16 | f16
  ConstTensor weight1;     // [dim, mid, 2, 2]  dtype of x
  ConstTensor bias1;       // [mid]
  ConstTensor normWeight;  // [mid]
  ConstTensor normBias;    // [mid]
  ConstTensor weight2;     // [mid, channels, 2, 2]
  ConstTensor bias2;       // [channels]
  ConstTensor hyper;       // [masks, outputs, channels]
  int64_t width = 0;       // tokens in a row, a divisor of tokens
  float eps = 1e-6F;
  Tensor y;  // [masks, outputs, 4 tokens / width, 4 width]  dtype of x
  MGLMM_OP(upscaleMasks, x, weight1, bias1, normWeight, normBias, weight2, bias2, hyper, width, eps, y)
};

void check(UpscaleMasks& op);

}  // namespace mglmm
