// y[i] = x[index[i]]: chosen rows of a matrix, such as the hidden states that predict [SEG].
#pragma once
#include "kernels/fields.h"
#include "kernels/tensor.h"

namespace mglmm {

struct GatherRows {
  ConstTensor x;      // [rows, dim]  any dtype
  ConstTensor index;  // [n]  i32, 0 to rows - 1 (else an ArgumentError when the op runs)
  Tensor y;           // [n, dim]  dtype of x
  MGLMM_OP(gatherRows, x, index, y)
};

// Also puts rows back: dx is dy added up at index, 0 elsewhere.
struct GatherRowsBackward {
  ConstTensor dy;     // [n, dim]  f32 | bf16 | f16
  ConstTensor index;  // [n]
  int64_t rows = 0;   // of x
  Tensor dx;          // [rows, dim]  sums in the order of index, in f32
  MGLMM_OP(gatherRowsBackward, dy, index, rows, dx)
};

void check(GatherRows& op);
void check(GatherRowsBackward& op);

}  // namespace mglmm
