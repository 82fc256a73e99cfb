// y[n, o, r, c] = bias[o] + sum over i, u, v of x[n, i, r * stride + u - padding, c * stride + v - padding] * weight[o, i,
// u, v], x being 0 outside the image: patch embeddings (kernel = stride), 1x1, 3x3, 2x2 stride 2. No groups, no dilation.
#pragma once
#include "kernels/fields.h"
#include "kernels/tensor.h"

namespace mglmm {

struct Conv2d {
  ConstTensor x;       // [batch, in, height, width]  f32 | bf16 | f16
  ConstTensor weight;  // [out, in, kernelHeight, kernelWidth]  dtype of x
  MaybeTensor bias;    // [out]  dtype of x
  int64_t stride = 1;
  int64_t padding = 0;  // zeros on every side, below the kernel's size
  Tensor y;             // [batch, out, (height + 2 padding - kernelHeight) / stride + 1, same of the width]  dtype of x
  MGLMM_OP(conv2d, x, weight, bias, stride, padding, y)
};

struct Conv2dBackward {
  ConstTensor dy;      // shape and dtype of y
  ConstTensor x;       // [batch, in, height, width]
  ConstTensor weight;  // [out, in, kernelHeight, kernelWidth]
  int64_t stride = 1;
  int64_t padding = 0;
  Tensor dx;       // shape of x: dy spread by weight
  Tensor dweight;  // shape of weight: x correlated with dy
  Tensor dbias;    // [out]: dy summed over batch and pixels
  MGLMM_OP(conv2dBackward, dy, x, weight, stride, padding, dx, dweight, dbias)
};

void check(Conv2d& op);
void check(Conv2dBackward& op);

}  // namespace mglmm
