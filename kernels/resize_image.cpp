#include "kernels/resize_image.h"

#include "kernels/check.h"

namespace mglmm {

void check(ResizeImage& op) {
  const Check check(op);
  check.dtype("image", op.image, Dtype::u8);
  check.rank("image", op.image, 3, "[height, width, channels]");
  constexpr int64_t kMost = int64_t{1} << 24;  // pixels along an axis, which a table is made of
  const auto& [in_height, in_width, channels] = std::array{op.image.shape[0], op.image.shape[1], op.image.shape[2]};
  if (channels < 1 || channels > 4)
    check.fail(kShapeError, "image is " + to_string(op.image.shape) + ", expected 1 to 4 channels");
  if (in_height > kMost || in_width > kMost) {
    check.fail(kShapeError, "image is " + to_string(op.image.shape) + ", expected at most 2^24 pixels along an axis");
  }
  check.require(op.height >= 0 && op.height <= kMost, "height", std::to_string(op.height), "0 to 2^24");
  check.require(op.width >= 0 && op.width <= kMost, "width", std::to_string(op.width), "0 to 2^24");
  if (in_height * in_width == 0 && op.height * op.width > 0) {
    check.fail(kShapeError, "image is " + to_string(op.image.shape) + ", expected at least one pixel");
  }
  check.output("y", op.y, Shape{op.height, op.width, channels}, Dtype::u8);
}

}  // namespace mglmm
