// y = a b, a stack of matrix products; transposeA and transposeB read a or b as its transpose. Sums in f32.
#pragma once
#include "kernels/fields.h"
#include "kernels/tensor.h"

namespace mglmm {

struct Matmul {
  ConstTensor a;  // [..., m, k], or [..., k, m] with transposeA  f32 | bf16 | f16
  ConstTensor b;  // [..., k, n], or [..., n, k] with transposeB  dtype of a; stacked as a, or either is one matrix for all
  bool transposeA = false;
  bool transposeB = false;
  Tensor y;  // [..., m, n]  dtype of a
  MGLMM_OP(matmul, a, b, transposeA, transposeB, y)
};

struct MatmulBackward {
  ConstTensor dy;  // [..., m, n]  dtype of a
  ConstTensor a;
  ConstTensor b;
  bool transposeA = false;
  bool transposeB = false;
  Tensor da;  // shape of a: dy b^T, transposed with transposeA, summed over the stack where a is one matrix for all
  Tensor db;  // shape of b: a^T dy, alike
  MGLMM_OP(matmulBackward, dy, a, b, transposeA, transposeB, da, db)
};

void check(Matmul& op);
void check(MatmulBackward& op);

}  // namespace mglmm
