// A weight in the packed order of kernels/panels.h, and back.
#pragma once
#include "kernels/fields.h"
#include "kernels/tensor.h"

namespace mglmm {

struct Pack {
  ConstTensor weight;  // [out, in]  f32 | bf16 | f16
  Tensor packed;       // [out, in]  dtype of weight, layout packed
  MGLMM_OP(pack, weight, packed)
};

struct Unpack {
  Weight packed;  // [out, in]  f32 | bf16 | f16, packed or rows
  Tensor weight;  // [out, in]  dtype of packed, rows
  MGLMM_OP(unpack, packed, weight)
};

void check(Pack& op);
void check(Unpack& op);

}  // namespace mglmm
