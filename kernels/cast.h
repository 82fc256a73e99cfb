// The values of x in another dtype: floating ones rounded to nearest even, integers truncated towards zero and clamped
// to their range (NaN becomes 0). Integers above 2^24 pass through f32.
#pragma once
#include "kernels/fields.h"
#include "kernels/tensor.h"

namespace mglmm {

struct Cast {
  ConstTensor x;  // [...]  any dtype
  Dtype dtype = Dtype::f32;
  Tensor y;  // shape of x, dtype
  MGLMM_OP(cast, x, dtype, y)
};

void check(Cast& op);

}  // namespace mglmm
