// The elements of x in memory of their own.
#pragma once
#include "kernels/fields.h"
#include "kernels/tensor.h"

namespace mglmm {

struct Copy {
  ConstTensor x;  // [...]  any dtype
  Tensor y;       // shape and dtype of x
  MGLMM_OP(copy, x, y)
};

void check(Copy& op);

}  // namespace mglmm
