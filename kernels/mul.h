// y = a * b, b broadcast to a: aligned at the last axis, each size of b is that of a, or 1, or missing in front.
#pragma once
#include "kernels/fields.h"
#include "kernels/tensor.h"

namespace mglmm {

struct Mul {
  ConstTensor a;  // [...]  f32 | bf16 | f16
  ConstTensor b;  // broadcasts to a; dtype of a
  Tensor y;       // shape and dtype of a
  MGLMM_OP(mul, a, b, y)
};

struct MulBackward {
  ConstTensor dy;  // shape and dtype of a
  ConstTensor a;   // [...]
  ConstTensor b;   // broadcasts to a
  Tensor da;       // shape of a  dy * b
  Tensor db;       // shape of b  dy * a, summed in f32 over the axes along which b was repeated
  MGLMM_OP(mulBackward, dy, a, b, da, db)
};

void check(Mul& op);
void check(MulBackward& op);

}  // namespace mglmm
