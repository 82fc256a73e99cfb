// y = weight * x * rstd, rstd = 1 / sqrt(mean(x^2) + eps) over the last axis. Zhang, Sennrich 2019, arXiv 1910.07467. Of x,
// or of a residual connection's sum, which is made in the same pass.
#pragma once
#include "kernels/fields.h"
#include "kernels/tensor.h"

namespace mglmm {

struct RmsNorm {
  ConstTensor x;       // [..., dim]  f32 | bf16 | f16
  ConstTensor weight;  // [dim]  dtype of x
  float eps = 1e-5F;
  Tensor y;    // [..., dim]  dtype of x
  Saved rstd;  // [...]  f32
  MGLMM_OP(rmsNorm, x, weight, eps, y, rstd)
};

struct RmsNormBackward {
  ConstTensor dy;      // [..., dim]  dtype of x
  ConstTensor x;       // [..., dim]
  ConstTensor weight;  // [dim]
  ConstTensor rstd;    // [...]  f32
  Tensor dx;           // [..., dim]  rstd * (g - n * mean(g * n)), g = dy * weight, n = x * rstd
  Tensor dweight;      // [dim]  sum of dy * n over the rows
  MGLMM_OP(rmsNormBackward, dy, x, weight, rstd, dx, dweight)
};

// sum = x + residual, rounded as add() rounds it, and y = its norm: both are those of the two ops, bit for bit.
struct AddRmsNorm {
  ConstTensor x;         // [..., dim]  f32 | bf16 | f16
  ConstTensor residual;  // shape and dtype of x
  ConstTensor weight;    // [dim]  dtype of x
  float eps = 1e-5F;
  Tensor sum;  // [..., dim]  dtype of x
  Tensor y;    // [..., dim]  dtype of x
  Saved rstd;  // [...]  f32
  MGLMM_OP(addRmsNorm, x, residual, weight, eps, sum, y, rstd)
};

struct AddRmsNormBackward {
  MaybeTensor dy;      // [..., dim]  dtype of sum; 0 when missing
  MaybeTensor dsum;    // [..., dim]  dtype of sum; 0 when missing
  ConstTensor sum;     // [..., dim]
  ConstTensor weight;  // [dim]
  ConstTensor rstd;    // [...]  f32
  Tensor dx;           // [..., dim]  that of residual too: rmsNorm's dx + dsum, rounded once
  Tensor dweight;      // [dim]
  MGLMM_OP(addRmsNormBackward, dy, dsum, sum, weight, rstd, dx, dweight)
};

void check(RmsNorm& op);
void check(RmsNormBackward& op);
void check(AddRmsNorm& op);
void check(AddRmsNormBackward& op);

}  // namespace mglmm
