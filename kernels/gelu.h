// y = x * P(X <= x) for a standard normal X = x / 2 * (1 + erf(x / sqrt(2))): the exact form. Hendrycks, Gimpel 2016, arXiv
// 1606.08415.
#pragma once
#include "kernels/fields.h"
#include "kernels/tensor.h"

namespace mglmm {

struct Gelu {
  ConstTensor x;  // [...]  f32 | bf16 | f16
  Tensor y;       // shape and dtype of x
  MGLMM_OP(gelu, x, y)
};

struct GeluBackward {
  ConstTensor dy;  // shape and dtype of x
  ConstTensor x;   // [...]
  Tensor dx;       // shape and dtype of x  dy * (P(X <= x) + x * exp(-x^2 / 2) / sqrt(2 pi))
  MGLMM_OP(geluBackward, dy, x, dx)
};

void check(Gelu& op);
void check(GeluBackward& op);

}  // namespace mglmm
