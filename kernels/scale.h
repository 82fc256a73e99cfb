// y = x * factor + shift, elementwise.
#pragma once
#include "kernels/fields.h"
#include "kernels/tensor.h"

namespace mglmm {

struct Scale {
  ConstTensor x;  // [...]  f32 | bf16 | f16
  float factor = 1;
  float shift = 0;
  Tensor y;  // shape and dtype of x
  MGLMM_OP(scale, x, factor, shift, y)
};

void check(Scale& op);

}  // namespace mglmm
