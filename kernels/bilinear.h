// Resizes images between their pixels' centres, without antialiasing: the value at output position i is read from the input
// at max((i + 0.5) * in / out - 0.5, 0), linearly between the two nearest pixels, the upper one clamped to the edge.
// PyTorch's interpolate(mode="bilinear", align_corners=False).
#pragma once
#include "kernels/fields.h"
#include "kernels/tensor.h"

namespace mglmm {

struct Bilinear {
  ConstTensor x;       // [..., inHeight, inWidth]  f32 | bf16 | f16
  int64_t height = 0;  // of the result
  int64_t width = 0;
  Tensor y;  // [..., height, width]  dtype of x
  MGLMM_OP(bilinear, x, height, width, y)
};

struct BilinearBackward {
  ConstTensor dy;  // shape and dtype of y
  ConstTensor x;   // [..., inHeight, inWidth]  its shape alone is used
  int64_t height = 0;
  int64_t width = 0;
  Tensor dx;  // shape and dtype of x: each dy spread over the pixels it was read from, with their weights
  MGLMM_OP(bilinearBackward, dy, x, height, width, dx)
};

void check(Bilinear& op);
void check(BilinearBackward& op);

}  // namespace mglmm
