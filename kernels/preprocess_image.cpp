#include "kernels/preprocess_image.h"

#include <string>

#include "kernels/check.h"

namespace mglmm {

void check(PreprocessImage& op) {
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
  const auto along = [&](const char* resized_name, int64_t resized, const char* first_name, int64_t first, const char* name,
                         int64_t size) {
    // Beyond 2^32 positions within the resized picture would lose their fractions.
    check.require(resized >= 0 && resized <= int64_t{1} << 32, resized_name, std::to_string(resized), "0 to 2^32");
    check.require(first >= 0 && first <= resized, first_name, std::to_string(first), "0 to " + std::to_string(resized));
    check.require(size >= 0 && size <= kMost, name, std::to_string(size), "0 to 2^24");
  };
  along("resizedHeight", op.resizedHeight, "top", op.top, "height", op.height);
  along("resizedWidth", op.resizedWidth, "left", op.left, "width", op.width);
  if (in_height * in_width == 0 && op.rows() * op.columns() > 0) {
    check.fail(kShapeError, "image is " + to_string(op.image.shape) + ", expected at least one pixel");
  }
  check.finite("rescale", op.rescale);
  for (const auto& [name, values] : {std::pair("mean", &op.mean), std::pair("std", &op.std)}) {
    const auto count = static_cast<int64_t>(values->size());
    check.require(count == channels, name, std::to_string(count) + " numbers",
                  std::to_string(channels) + ", the channels of image");
    for (size_t i = 0; i < values->size(); ++i) {
      const std::string element = std::string(name) + "[" + std::to_string(i) + "]";
      if (values == &op.std)
        check.positive(element.c_str(), (*values)[i]);
      else
        check.finite(element.c_str(), (*values)[i]);
    }
  }
  if (!is_floating(op.dtype))
    check.fail(kDtypeError, std::string("dtype is ") + to_string(op.dtype) + ", expected f32, bf16 or f16");
  check.output("y", op.y, Shape{1, channels, op.height, op.width}, op.dtype);
}

}  // namespace mglmm
