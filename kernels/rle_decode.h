// Masks from the run lengths of COCO (op rleEncode): down the columns, zeros first.
#pragma once
#include "kernels/fields.h"
#include "kernels/tensor.h"

namespace mglmm {

struct RleDecode {
  ConstTensor runs;    // [total]  i32, the runs of all masks one after the other
  ConstTensor counts;  // [n]  i32, runs of each mask
  int64_t height = 0;
  int64_t width = 0;
  bool bits = false;  // true: masks as bits, the layout of op packBits
  Tensor masks;       // [n, height, width]  u8, 0 or 1; or [n, height, 8 ceil(width / 64)]
  MGLMM_OP(rleDecode, runs, counts, height, width, bits, masks)
};

void check(RleDecode& op);

}  // namespace mglmm
