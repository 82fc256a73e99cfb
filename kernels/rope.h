// Rotary position embedding, half rotation as Hugging Face lays it out: with D = headDim, i < D / 2 and
// angle = position * base^(-2 i / D) formed in f32, y[i] = x[i] cos - x[i + D/2] sin, y[i + D/2] = x[i + D/2] cos + x[i]
// sin. Su et al. 2021, arXiv 2104.09864.
#pragma once
#include "kernels/fields.h"
#include "kernels/tensor.h"

namespace mglmm {

struct Rope {
  ConstTensor x;            // [batch, heads, seq, headDim]  f32 | bf16 | f16; headDim even
  ConstTensor positionIds;  // [batch, seq]  i32, any value
  double base = 10000;
  bool tokensFirst = false;  // x and y are [batch, seq, heads, headDim] instead
  Tensor y;                  // shape and dtype of x
  MGLMM_OP(rope, x, positionIds, base, tokensFirst, y)
};

struct RopeBackward {
  ConstTensor dy;           // shape and dtype of x
  ConstTensor positionIds;  // [batch, seq]
  double base = 10000;
  bool tokensFirst = false;
  Tensor dx;  // dy rotated by the negative angle
  MGLMM_OP(ropeBackward, dy, positionIds, base, tokensFirst, dx)
};

void check(Rope& op);
void check(RopeBackward& op);

}  // namespace mglmm
