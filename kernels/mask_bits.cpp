#include "kernels/mask_bits.h"

#include "kernels/check.h"
#include "kernels/pack_bits.h"

namespace mglmm {

void check(MaskBits& op) {
  const Check check(op);
  check.floating("logits", op.logits);
  check.min_rank("logits", op.logits, 2);
  check.finite("threshold", op.threshold);
  constexpr int64_t kMost = int64_t{1} << 24;  // pixels along an axis, which a table is made of
  const auto within = [&](const char* name, int64_t value, int64_t least, int64_t most, const std::string& expected) {
    check.require(value >= least && value <= most, name, std::to_string(value), expected);
  };
  within("inputSize", op.inputSize, 1, kMost, "1 to 2^24");
  const std::string part = "1 to " + std::to_string(op.inputSize) + ", inputSize";
  within("resizedHeight", op.resizedHeight, 1, op.inputSize, part);
  within("resizedWidth", op.resizedWidth, 1, op.inputSize, part);
  within("height", op.height, 0, kMost, "0 to 2^24");
  within("width", op.width, 0, kMost, "0 to 2^24");
  const Shape& shape = op.logits.shape;
  if (shape[-2] > kMost || shape[-1] > kMost)
    check.fail(kShapeError, "logits is " + to_string(shape) + ", expected at most 2^24 pixels along an axis");
  Shape result;
  for (int axis = 0; axis < shape.rank - 2; ++axis) result.push(shape[axis]);
  result.push(op.height);
  result.push(bit_row_bytes(op.width));
  if (shape[-2] * shape[-1] == 0 && result.count() > 0)
    check.fail(kShapeError, "logits is " + to_string(shape) + ", expected at least one pixel");
  check.output("bits", op.bits, result, Dtype::u8);
}

}  // namespace mglmm
