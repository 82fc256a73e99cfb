// y = x / (1 - p) where place offset + i of the seed's random words is kept, else 0: each with probability p. The gradient
// makes the same words again instead of keeping a mask. Srivastava et al. 2014.
#pragma once
#include "kernels/fields.h"
#include "kernels/tensor.h"

namespace mglmm {

struct Dropout {
  ConstTensor x;       // [...]  f32 | bf16 | f16
  double p = 0;        // [0, 1); a word (kernels/philox.h) is kept when it is at least p 2^32
  int64_t seed = 0;    // at least 0
  int64_t offset = 0;  // at least 0
  Tensor y;            // shape and dtype of x
  MGLMM_OP(dropout, x, p, seed, offset, y)
};

struct DropoutBackward {
  ConstTensor dy;  // [...]  f32 | bf16 | f16
  double p = 0;
  int64_t seed = 0;
  int64_t offset = 0;
  Tensor dx;  // shape and dtype of dy  dropout of dy by the same words
  MGLMM_OP(dropoutBackward, dy, p, seed, offset, dx)
};

void check(Dropout& op);
void check(DropoutBackward& op);

}  // namespace mglmm
