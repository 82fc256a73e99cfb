#include "kernels/pack_bits.h"

#include <cmath>

#include "kernels/check.h"

namespace mglmm {

void check(PackBits& op) {
  const Check check(op);
  if (op.masks.dtype == Dtype::i32) check.fail(kDtypeError, "masks is i32, expected u8, f32, bf16 or f16");
  check.min_rank("masks", op.masks, 1);
  check.finite("threshold", op.threshold);
  check.output("bits", op.bits, op.masks.shape.with_last(bit_row_bytes(op.masks.shape[-1])), Dtype::u8);
}

}  // namespace mglmm
