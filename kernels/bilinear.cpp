#include "kernels/bilinear.h"

#include "kernels/check.h"

namespace mglmm {
namespace {

template <typename Op>
Shape result_of(const Check& check, const Op& op) {
  check.floating("x", op.x);
  check.min_rank("x", op.x, 2);
  constexpr int64_t kMost = int64_t{1} << 24;  // pixels along an axis, which a table is made of
  check.require(op.height >= 0 && op.height <= kMost, "height", std::to_string(op.height), "0 to 2^24");
  check.require(op.width >= 0 && op.width <= kMost, "width", std::to_string(op.width), "0 to 2^24");
  if (op.x.shape[-2] > kMost || op.x.shape[-1] > kMost) {
    check.fail(kShapeError, "x is " + to_string(op.x.shape) + ", expected at most 2^24 pixels along an axis");
  }
  Shape result;
  for (int axis = 0; axis < op.x.shape.rank - 2; ++axis) result.push(op.x.shape[axis]);
  result.push(op.height);
  result.push(op.width);
  const bool readable = op.x.shape[-2] > 0 && op.x.shape[-1] > 0;
  if (!readable && result.count() > 0) {
    check.fail(kShapeError, "x is " + to_string(op.x.shape) + ", expected at least one pixel");
  }
  return result;
}

}  // namespace

void check(Bilinear& op) {
  const Check check(op);
  check.output("y", op.y, result_of(check, op), op.x.dtype);
}

void check(BilinearBackward& op) {
  const Check check(op);
  check.shape("dy", op.dy, result_of(check, op), "the shape of the result");
  check.same_dtype("dy", op.dy, "x", op.x);
  check.output("dx", op.dx, op.x.shape, op.x.dtype, "the shape of x");
}

}  // namespace mglmm
