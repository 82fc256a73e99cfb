// ids = index of the largest value along the last axis, the first of equals; a NaN counts as the largest, as PyTorch's does.
#pragma once
#include "kernels/fields.h"
#include "kernels/tensor.h"

namespace mglmm {

struct Argmax {
  ConstTensor x;  // [..., size]  f32 | bf16 | f16, size at least 1
  Tensor ids;     // [...]  i32
  MGLMM_OP(argmax, x, ids)
};

void check(Argmax& op);

}  // namespace mglmm
