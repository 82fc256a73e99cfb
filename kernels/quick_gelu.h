// y = x * sigmoid(1.702 * x): CLIP's approximation of gelu.
#pragma once
#include "kernels/fields.h"
#include "kernels/tensor.h"

namespace mglmm {

struct QuickGelu {
  ConstTensor x;  // [...]  f32 | bf16 | f16
  Tensor y;       // shape and dtype of x
  MGLMM_OP(quickGelu, x, y)
};

struct QuickGeluBackward {
  ConstTensor dy;  // shape and dtype of x
  ConstTensor x;   // [...]
  Tensor dx;       // shape and dtype of x  dy * s * (1 + 1.702 * x * (1 - s)), s = sigmoid(1.702 * x)
  MGLMM_OP(quickGeluBackward, dy, x, dx)
};

void check(QuickGelu& op);
void check(QuickGeluBackward& op);

}  // namespace mglmm
