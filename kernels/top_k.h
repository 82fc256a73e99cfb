// The k largest values along the last axis, largest first, equals in order of index; a NaN counts as the largest.
#pragma once
#include "kernels/fields.h"
#include "kernels/tensor.h"

namespace mglmm {

struct TopK {
  ConstTensor x;  // [..., size]  f32 | bf16 | f16
  int64_t k = 1;  // from 0 to size
  Tensor values;  // [..., k]  dtype of x
  Tensor ids;     // [..., k]  i32
  MGLMM_OP(topK, x, k, values, ids)
};

void check(TopK& op);

}  // namespace mglmm
