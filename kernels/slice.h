// x along one axis from `begin` up to `end`.
#pragma once
#include "kernels/fields.h"
#include "kernels/tensor.h"

namespace mglmm {

struct Slice {
  ConstTensor x;     // [...]  any dtype
  int64_t axis = 0;  // negative counts from the last
  int64_t begin = 0;
  int64_t end = 0;
  Tensor y;  // x with end - begin along axis
  MGLMM_OP(slice, x, axis, begin, end, y)
};

struct SliceBackward {
  ConstTensor dy;  // [...]  any dtype
  int64_t axis = 0;
  int64_t begin = 0;
  int64_t size = 0;  // of x along axis
  Tensor dx;         // dy with `size` along axis, 0 outside the slice
  MGLMM_OP(sliceBackward, dy, axis, begin, size, dx)
};

void check(Slice& op);
void check(SliceBackward& op);

}  // namespace mglmm
