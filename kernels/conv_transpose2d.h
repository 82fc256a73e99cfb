// y[n, o, k * r + u, k * c + v] = bias[o] + sum over i of x[n, i, r, c] * weight[i, o, u, v]: each pixel becomes a block of
// k x k, blocks do not overlap (stride = kernel). SAM's mask upscaling: k = 2.
#pragma once
#include "kernels/fields.h"
#include "kernels/tensor.h"

namespace mglmm {

struct ConvTranspose2d {
  ConstTensor x;       // [batch, in, height, width]  f32 | bf16 | f16
  ConstTensor weight;  // [in, out, k, k]  dtype of x
  MaybeTensor bias;    // [out]  dtype of x
  Tensor y;            // [batch, out, k height, k width]  dtype of x
  MGLMM_OP(convTranspose2d, x, weight, bias, y)
};

struct ConvTranspose2dBackward {
  ConstTensor dy;      // shape and dtype of y
  ConstTensor x;       // [batch, in, height, width]
  ConstTensor weight;  // [in, out, k, k]
  Tensor dx;           // shape of x: the convolution of dy with weight
  Tensor dweight;      // shape of weight: dy correlated with x
  Tensor dbias;        // [out]: dy summed over batch and pixels
  MGLMM_OP(convTranspose2dBackward, dy, x, weight, dx, dweight, dbias)
};

void check(ConvTranspose2d& op);
void check(ConvTranspose2dBackward& op);

}  // namespace mglmm
