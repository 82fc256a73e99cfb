// y = exp(x - max) / sum(exp(x - max)) along the last axis.
#pragma once
#include "kernels/fields.h"
#include "kernels/tensor.h"

namespace mglmm {

struct Softmax {
  ConstTensor x;  // [..., classes]  f32 | bf16 | f16
  Tensor y;       // shape and dtype of x
  MGLMM_OP(softmax, x, y)
};

struct SoftmaxBackward {
  ConstTensor dy;  // shape and dtype of y
  ConstTensor y;   // [..., classes]
  Tensor dx;       // shape and dtype of y  y * (dy - sum(dy * y))
  MGLMM_OP(softmaxBackward, dy, y, dx)
};

void check(Softmax& op);
void check(SoftmaxBackward& op);

}  // namespace mglmm
