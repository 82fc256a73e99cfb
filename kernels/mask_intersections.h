// counts[i, j] = pixels set in both a[i] and b[j], masks as bits (op packBits): the numerator of every pairwise IoU.
#pragma once
#include "kernels/fields.h"
#include "kernels/tensor.h"

namespace mglmm {

struct MaskIntersections {
  ConstTensor a;  // [n, ..., bytes]  u8, bytes a multiple of 8
  ConstTensor b;  // [m, ..., bytes]  u8, a mask's shape as in a
  Tensor counts;  // [n, m]  i32
  MGLMM_OP(maskIntersections, a, b, counts)
};

void check(MaskIntersections& op);

}  // namespace mglmm
