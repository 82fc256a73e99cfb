#include "kernels/conv2d.h"

#include <algorithm>

#include "kernels/check.h"

namespace mglmm {
namespace {

// The shape of y, once x, weight, stride and padding fit each other.
template <typename Op>
Shape result_of(const Check& check, const Op& op) {
  check.floating("x", op.x);
  check.rank("x", op.x, 4, "[batch, in, height, width]");
  check.rank("weight", op.weight, 4, "[out, in, kernelHeight, kernelWidth]");
  check.same_dtype("weight", op.weight, "x", op.x);
  check.size("weight", op.weight, 1, op.x.shape[1], "the channels of x");
  check.require(op.stride >= 1, "stride", std::to_string(op.stride), "at least 1");
  const int64_t kernel = std::min(op.weight.shape[2], op.weight.shape[3]);
  check.require(op.padding >= 0 && op.padding <= std::max<int64_t>(kernel - 1, 0), "padding", std::to_string(op.padding),
                "0 or more and below the kernel's sizes");
  Shape result{op.x.shape[0], op.weight.shape[0]};
  for (const int axis : {2, 3}) {
    const int64_t padded = op.x.shape[axis] + 2 * op.padding;
    const int64_t size = op.weight.shape[axis];
    check.require(size >= 1 && size <= padded, "kernel", std::to_string(size),
                  "1 to " + std::to_string(padded) + ", the size of x with padding along axis " + std::to_string(axis));
    result.push((padded - size) / op.stride + 1);
  }
  return result;
}

}  // namespace

void check(Conv2d& op) {
  const Check check(op);
  const Shape result = result_of(check, op);
  if (op.bias) {
    check.shape("bias", *op.bias, Shape{op.weight.shape[0]}, "one value an output channel");
    check.same_dtype("bias", *op.bias, "x", op.x);
  }
  check.output("y", op.y, result, op.x.dtype);
}

void check(Conv2dBackward& op) {
  const Check check(op);
  const Shape result = result_of(check, op);
  check.shape("dy", op.dy, result, "the shape of the result");
  check.same_dtype("dy", op.dy, "x", op.x);
  check.output("dx", op.dx, op.x.shape, op.x.dtype, "the shape of x");
  check.output("dweight", op.dweight, op.weight.shape, op.x.dtype, "the shape of weight");
  check.output("dbias", op.dbias, Shape{op.weight.shape[0]}, op.x.dtype, "one value an output channel");
}

}  // namespace mglmm
