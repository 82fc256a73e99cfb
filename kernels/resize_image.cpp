#include "kernels/resize_image.h"

#include <algorithm>

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
  // Beyond 2^32 positions within the result would lose their fractions.
  const auto part = [&](const char* whole_name, int64_t whole, const char* first_name, int64_t first, const char* name,
                        int64_t& size) {
    constexpr int64_t kWhole = int64_t{1} << 32;
    check.require(whole >= 0 && whole <= (size == -1 ? kMost : kWhole), whole_name, std::to_string(whole),
                  size == -1 ? "0 to 2^24" : "0 to 2^32");
    check.require(first >= 0 && first <= whole, first_name, std::to_string(first), "0 to " + std::to_string(whole));
    if (size == -1) size = whole - first;
    const int64_t most = std::min(whole - first, kMost);
    check.require(size >= 0 && size <= most, name, std::to_string(size), "0 to " + std::to_string(most));
  };
  part("height", op.height, "top", op.top, "cropHeight", op.cropHeight);
  part("width", op.width, "left", op.left, "cropWidth", op.cropWidth);
  if (in_height * in_width == 0 && op.cropHeight * op.cropWidth > 0) {
    check.fail(kShapeError, "image is " + to_string(op.image.shape) + ", expected at least one pixel");
  }
  check.output("y", op.y, Shape{op.cropHeight, op.cropWidth, channels}, Dtype::u8);
}

}  // namespace mglmm
