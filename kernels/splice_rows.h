// Each sequence of x with the row at its position replaced by n rows: image features in the place of the image token.
#pragma once
#include "kernels/fields.h"
#include "kernels/tensor.h"

namespace mglmm {

struct SpliceRows {
  ConstTensor x;          // [batch, seq, dim]  any dtype
  ConstTensor rows;       // [batch, n, dim]  dtype of x
  ConstTensor positions;  // [batch]  i32, 0 to seq - 1 (else an ArgumentError when the op runs)
  Tensor y;               // [batch, seq - 1 + n, dim]
  MGLMM_OP(spliceRows, x, rows, positions, y)
};

struct SpliceRowsBackward {
  ConstTensor dy;         // [batch, seq - 1 + n, dim]  any dtype
  ConstTensor positions;  // [batch]
  int64_t count = 0;      // n
  Tensor dx;              // [batch, seq, dim]  0 at positions
  Tensor drows;           // [batch, n, dim]
  MGLMM_OP(spliceRowsBackward, dy, positions, count, dx, drows)
};

void check(SpliceRows& op);
void check(SpliceRowsBackward& op);

}  // namespace mglmm
