// y = max(x, 0); NaN stays NaN.
#pragma once
#include "kernels/fields.h"
#include "kernels/tensor.h"

namespace mglmm {

struct Relu {
  ConstTensor x;  // [...]  f32 | bf16 | f16
  Tensor y;       // shape and dtype of x
  MGLMM_OP(relu, x, y)
};

struct ReluBackward {
  ConstTensor dy;  // shape and dtype of x
  ConstTensor x;   // [...]
  Tensor dx;       // shape and dtype of x  dy where x > 0, else 0
  MGLMM_OP(reluBackward, dy, x, dx)
};

void check(Relu& op);
void check(ReluBackward& op);

}  // namespace mglmm
