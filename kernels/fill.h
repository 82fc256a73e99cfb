// A new tensor with one value everywhere.
#pragma once
#include "kernels/fields.h"
#include "kernels/tensor.h"

namespace mglmm {

struct Fill {
  Shape shape;
  Dtype dtype = Dtype::f32;
  double value = 0;  // any for a floating dtype; an integer in range for i32 and u8
  Tensor y;          // shape, dtype
  MGLMM_OP(fill, shape, dtype, value, y)
};

void check(Fill& op);

}  // namespace mglmm
