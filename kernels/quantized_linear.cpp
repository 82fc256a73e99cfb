#include "kernels/quantized_linear.h"

#include "kernels/check.h"
#include "kernels/quantize.h"

namespace mglmm {

void check(QuantizedLinear& op) {
  const Check check(op);
  check.floating("x", op.x);
  check.min_rank("x", op.x, 1);
  check_quantized(check, {op.values, op.scales, op.minimums, op.out, op.in});
  check.size("x", op.x, -1, op.in, "the inputs of the weight");
  if (op.bias) {
    check.same_dtype("bias", *op.bias, "x", op.x);
    check.shape("bias", *op.bias, {op.out}, "an element for each output of the weight");
  }
  check.output("y", op.y, op.x.shape.with_last(op.out), op.x.dtype);
}

void check(QuantizedLinearBackward& op) {
  const Check check(op);
  check.floating("dy", op.dy);
  check.min_rank("dy", op.dy, 1);
  check_quantized(check, {op.values, op.scales, op.minimums, op.out, op.in});
  check.size("dy", op.dy, -1, op.out, "the outputs of the weight");
  check.output("dx", op.dx, op.dy.shape.with_last(op.in), op.dy.dtype);
  check.output("dbias", op.dbias, {op.out}, op.dy.dtype);
}

}  // namespace mglmm
