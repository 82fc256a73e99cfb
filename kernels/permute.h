// The axes of x in another order: axis i of y is axis axes[i] of x.
#pragma once
#include <vector>

#include "kernels/fields.h"
#include "kernels/tensor.h"

namespace mglmm {

struct Permute {
  ConstTensor x;              // [...]  any dtype
  std::vector<int64_t> axes;  // each axis of x once
  Tensor y;                   // sizes of x in the order of axes, dtype of x
  MGLMM_OP(permute, x, axes, y)
};

void check(Permute& op);

}  // namespace mglmm
