// grads *= min(1, maxNorm / (norm + eps)), as torch.nn.utils.clip_grad_norm_ does. The norm is a tensor, so nothing waits.
#pragma once
#include <vector>

#include "kernels/fields.h"
#include "kernels/tensor.h"

namespace mglmm {

struct ClipGradients {
  std::vector<InOut> grads;  // [...] each  f32 | bf16 | f16
  ConstTensor norm;          // []  f32, of gradNorm
  double maxNorm = 1;
  double eps = 1e-6;
  MGLMM_OP(clipGradients, grads, norm, maxNorm, eps)
};

void check(ClipGradients& op);

}  // namespace mglmm
