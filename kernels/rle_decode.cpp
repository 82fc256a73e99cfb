#include "kernels/rle_decode.h"

#include "kernels/check.h"
#include "kernels/pack_bits.h"

namespace mglmm {

void check(RleDecode& op) {
  const Check check(op);
  check.dtype("runs", op.runs, Dtype::i32);
  check.dtype("counts", op.counts, Dtype::i32);
  check.rank("runs", op.runs, 1, "[total]");
  check.rank("counts", op.counts, 1, "[n]");
  constexpr int64_t kMost = (int64_t{1} << 31) - 1;
  check.require(op.height >= 0 && op.height <= kMost, "height", std::to_string(op.height), "0 to 2^31 - 1");
  check.require(op.width >= 0 && op.width <= kMost, "width", std::to_string(op.width), "0 to 2^31 - 1");
  check.require(op.height == 0 || op.width <= (kMost - 1) / op.height, "height * width",
                std::to_string(op.height) + " * " + std::to_string(op.width), "fewer than 2^31 - 1 pixels");
  const int64_t row = op.bits ? bit_row_bytes(op.width) : op.width;
  check.output("masks", op.masks, Shape{op.counts.shape[0], op.height, row}, Dtype::u8);
}

}  // namespace mglmm
