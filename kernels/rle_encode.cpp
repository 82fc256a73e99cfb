#include "kernels/rle_encode.h"

#include "kernels/check.h"
#include "kernels/pack_bits.h"

namespace mglmm {

void check(RleEncode& op) {
  const Check check(op);
  check.dtype("masks", op.masks, Dtype::u8);
  check.rank("masks", op.masks, 3, "[n, height, width]");
  constexpr int64_t kMost = (int64_t{1} << 31) - 1;
  check.require(op.bitWidth >= 0 && op.bitWidth <= kMost, "bitWidth", std::to_string(op.bitWidth), "0 to 2^31 - 1");
  check.require(op.maxRuns >= 0 && op.maxRuns <= kMost, "maxRuns", std::to_string(op.maxRuns), "0 to 2^31 - 1");
  if (op.bitWidth > 0) check.size("masks", op.masks, 2, bit_row_bytes(op.bitWidth), "the bytes of a row of bitWidth pixels");
  const int64_t width = op.bitWidth > 0 ? op.bitWidth : op.masks.shape[2];
  if (width > 0 && op.masks.shape[1] > (kMost - 1) / width) {
    check.fail(kShapeError, "masks is " + to_string(op.masks.shape) + ", expected fewer than 2^31 - 1 pixels a mask");
  }
  check.output("runs", op.runs, Shape{op.masks.shape[0], op.maxRuns}, Dtype::i32);
  check.output("counts", op.counts, Shape{op.masks.shape[0]}, Dtype::i32);
}

}  // namespace mglmm
