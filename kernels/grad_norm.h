// norm = sqrt(sum of squares over all elements of all gradients): what clipping compares with its limit.
#pragma once
#include <vector>

#include "kernels/fields.h"
#include "kernels/tensor.h"

namespace mglmm {

struct GradNorm {
  std::vector<ConstTensor> grads;  // [...] each  f32 | bf16 | f16
  Tensor norm;                     // []  f32; NaN or infinite when an element is
  MGLMM_OP(gradNorm, grads, norm)
};

void check(GradNorm& op);

}  // namespace mglmm
