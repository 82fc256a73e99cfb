// y = silu(gate) * up, silu(v) = v / (1 + exp(-v)): the gate of the LLaMA MLP. Shazeer 2020, arXiv 2002.05202.
#pragma once
#include "kernels/fields.h"
#include "kernels/tensor.h"

namespace mglmm {

struct Swiglu {
  ConstTensor gate;  // [..., hidden]  f32 | bf16 | f16
  ConstTensor up;    // [..., hidden]  shape and dtype of gate
  Tensor y;          // [..., hidden]  shape and dtype of gate
  MGLMM_OP(swiglu, gate, up, y)
};

struct SwigluBackward {
  ConstTensor dy;    // [..., hidden]  shape and dtype of gate
  ConstTensor gate;  // [..., hidden]
  ConstTensor up;    // [..., hidden]
  Tensor dgate;      // [..., hidden]  dy * up * sigmoid(gate) * (1 + gate * (1 - sigmoid(gate)))
  Tensor dup;        // [..., hidden]  dy * silu(gate)
  MGLMM_OP(swigluBackward, dy, gate, up, dgate, dup)
};

void check(Swiglu& op);
void check(SwigluBackward& op);

}  // namespace mglmm
