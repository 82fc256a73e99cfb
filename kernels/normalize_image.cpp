#include "kernels/normalize_image.h"

#include "kernels/check.h"

namespace mglmm {

void check(NormalizeImage& op) {
  const Check check(op);
  check.dtype("image", op.image, Dtype::u8);
  check.rank("image", op.image, 3, "[height, width, channels]");
  const int64_t channels = op.image.shape[2];
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
  check.finite("rescale", op.rescale);
  const auto within = [&](const char* name, int64_t value, int axis) {
    const int64_t most = op.image.shape[axis];
    check.require(value >= 0 && value <= most, name, std::to_string(value),
                  "0 to " + std::to_string(most) + ", the size of image");
  };
  within("top", op.top, 0);
  within("left", op.left, 1);
  check.require(op.height >= 0, "height", std::to_string(op.height), "0 or more");
  check.require(op.width >= 0, "width", std::to_string(op.width), "0 or more");
  if (!is_floating(op.dtype))
    check.fail(kDtypeError, std::string("dtype is ") + to_string(op.dtype) + ", expected f32, bf16 or f16");
  check.output("y", op.y, Shape{channels, op.height, op.width}, op.dtype);
}

}  // namespace mglmm
