// Sums over axes, or means. Added up in f32: pieces of fixed size, then the pieces in order.
#pragma once
#include <vector>

#include "kernels/fields.h"
#include "kernels/tensor.h"

namespace mglmm {

struct Sum {
  ConstTensor x;              // [...]  f32 | bf16 | f16
  std::vector<int64_t> axes;  // to sum over, each once, negative ones count from the last; none means all
  bool keepDims = false;      // leaves the axes with size 1
  bool mean = false;          // divides by the number of summed elements
  Tensor y;                   // x without axes, dtype of x
  MGLMM_OP(sum, x, axes, keepDims, mean, y)
};

struct SumBackward {
  ConstTensor dy;  // shape of y
  Shape shape;     // of x
  std::vector<int64_t> axes;
  bool keepDims = false;
  bool mean = false;
  Tensor dx;  // shape  dy repeated along axes
  MGLMM_OP(sumBackward, dy, shape, axes, keepDims, mean, dx)
};

void check(Sum& op);
void check(SumBackward& op);

}  // namespace mglmm
