// y = a + b, b broadcast to a: aligned at the last axis, each size of b is that of a, or 1, or missing in front.
#pragma once
#include "kernels/fields.h"
#include "kernels/tensor.h"

namespace mglmm {

struct Add {
  ConstTensor a;  // [...]  f32 | bf16 | f16
  ConstTensor b;  // broadcasts to a; dtype of a
  Tensor y;       // shape and dtype of a
  MGLMM_OP(add, a, b, y)
};

void check(Add& op);

}  // namespace mglmm
