#include "kernels/conv_transpose2d.h"

#include "kernels/check.h"

namespace mglmm {
namespace {

template <typename Op>
Shape result_of(const Check& check, const Op& op) {
  check.floating("x", op.x);
  check.rank("x", op.x, 4, "[batch, in, height, width]");
  check.rank("weight", op.weight, 4, "[in, out, k, k]");
  check.same_dtype("weight", op.weight, "x", op.x);
  check.size("weight", op.weight, 0, op.x.shape[1], "the channels of x");
  const int64_t kernel = op.weight.shape[2];
  check.require(kernel >= 1, "kernel", std::to_string(kernel), "at least 1");
  check.size("weight", op.weight, 3, kernel, "its size along axis 2");
  Shape result{op.x.shape[0], op.weight.shape[1]};
  for (const int axis : {2, 3}) {
    if (op.x.shape[axis] > Shape::kMaxCount / kernel) check.fail(kShapeError, "the result has more than 2^48 elements");
    result.push(op.x.shape[axis] * kernel);
  }
  return result;
}

}  // namespace

void check(ConvTranspose2d& op) {
  const Check check(op);
  const Shape result = result_of(check, op);
  if (op.bias) {
    check.shape("bias", *op.bias, Shape{op.weight.shape[1]}, "one value an output channel");
    check.same_dtype("bias", *op.bias, "x", op.x);
  }
  check.output("y", op.y, result, op.x.dtype);
}

void check(ConvTranspose2dBackward& op) {
  const Check check(op);
  const Shape result = result_of(check, op);
  check.shape("dy", op.dy, result, "the shape of the result");
  check.same_dtype("dy", op.dy, "x", op.x);
  check.output("dx", op.dx, op.x.shape, op.x.dtype, "the shape of x");
  check.output("dweight", op.dweight, op.weight.shape, op.x.dtype, "the shape of weight");
  check.output("dbias", op.dbias, Shape{op.weight.shape[1]}, op.x.dtype, "one value an output channel");
}

}  // namespace mglmm
