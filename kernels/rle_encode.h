// Masks as the run lengths of COCO: down the columns, the first run is of zeros and may be 0 long. How many runs a mask has
// is known only afterwards, so `counts` says it, and runs beyond `maxRuns` are counted but not stored.
#pragma once
#include "kernels/fields.h"
#include "kernels/tensor.h"

namespace mglmm {

struct RleEncode {
  ConstTensor masks;  // [n, height, width]  u8, set where not 0; or bits of op packBits, [n, height, 8 ceil(bitWidth / 64)]
  int64_t bitWidth = 0;  // width in pixels of masks that are bits; 0: masks are bytes
  int64_t maxRuns = 0;
  Tensor runs;    // [n, maxRuns]  i32; what lies behind a mask's runs is 0
  Tensor counts;  // [n]  i32, runs of each mask
  MGLMM_OP(rleEncode, masks, bitWidth, maxRuns, runs, counts)
};

void check(RleEncode& op);

}  // namespace mglmm
