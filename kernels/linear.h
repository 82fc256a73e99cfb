// y = x weight^T + bias + residual: a dense layer, and the residual connection around it. Sums in f32, rounded once.
#pragma once
#include "kernels/fields.h"
#include "kernels/tensor.h"

namespace mglmm {

struct Linear {
  ConstTensor x;         // [..., in]  f32 | bf16 | f16
  Weight weight;         // [out, in]  dtype of x, rows or packed
  MaybeTensor bias;      // [out]  dtype of x
  MaybeTensor residual;  // shape and dtype of y; its gradient is dy itself
  Tensor y;              // [..., out]  dtype of x
  MGLMM_OP(linear, x, weight, bias, residual, y)
};

struct LinearBackward {
  ConstTensor dy;  // [..., out]  dtype of weight
  MaybeTensor x;   // [..., in]: of it dweight is made, and nothing else
  Weight weight;   // [out, in]
  Tensor dx;       // [..., in]: dy weight
  Tensor dweight;  // [out, in]: dy^T x; not of a packed weight
  Tensor dbias;    // [out]: the sum of dy's rows
  MGLMM_OP(linearBackward, dy, x, weight, dx, dweight, dbias)
};

void check(Linear& op);
void check(LinearBackward& op);

}  // namespace mglmm
