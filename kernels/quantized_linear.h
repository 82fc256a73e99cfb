// y = x weight^T + bias with a weight in 8 or 4 bits (kernels/quantize.h). Sums in f32. From 5 rows on, a
// backend may round x in bf16 or f16 to bytes, each group of 128 in steps of its own, or the weight to bf16:
// docs/numerics.md.
#pragma once
#include "kernels/fields.h"
#include "kernels/tensor.h"

namespace mglmm {

struct QuantizedLinear {
  ConstTensor x;         // [..., in]  f32 | bf16 | f16
  ConstTensor values;    // of Quantize
  ConstTensor scales;    // of Quantize
  MaybeTensor minimums;  // of Quantize, int4 only
  MaybeTensor bias;      // [out]  dtype of x
  int64_t out = 0;
  int64_t in = 0;
  Tensor y;  // [..., out]  dtype of x
  MGLMM_OP(quantizedLinear, x, values, scales, minimums, bias, out, in, y)
};

struct QuantizedLinearBackward {
  ConstTensor dy;  // [..., out]  f32 | bf16 | f16
  ConstTensor values;
  ConstTensor scales;
  MaybeTensor minimums;
  int64_t out = 0;
  int64_t in = 0;
  Tensor dx;     // [..., in]  dtype of dy: dy weight
  Tensor dbias;  // [out]: the sum of dy's rows
  MGLMM_OP(quantizedLinearBackward, dy, values, scales, minimums, out, in, dx, dbias)
};

void check(QuantizedLinear& op);
void check(QuantizedLinearBackward& op);

}  // namespace mglmm
