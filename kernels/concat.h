// Tensors one after another along one axis.
#pragma once
#include <vector>

#include "kernels/fields.h"
#include "kernels/tensor.h"

namespace mglmm {

struct Concat {
  std::vector<ConstTensor> xs;  // any dtype, all the same; sizes equal but along axis
  int64_t axis = 0;             // negative counts from the last
  Tensor y;                     // the sizes along axis added up
  MGLMM_OP(concat, xs, axis, y)
};

void check(Concat& op);

}  // namespace mglmm
