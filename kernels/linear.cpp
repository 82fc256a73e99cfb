#include "kernels/linear.h"

#include "kernels/check.h"

namespace mglmm {
namespace {

void check_operands(const Check& check, const ConstTensor& x, const Weight& weight) {
  check.floating("x", x);
  check.min_rank("x", x, 1);
  check.same_dtype("weight", weight, "x", x);
  check.rank("weight", weight, 2, "[out, in]");
  check.size("weight", weight, 1, x.shape[-1], "the last size of x");
}

}  // namespace

void check(Linear& op) {
  const Check check(op);
  check_operands(check, op.x, op.weight);
  const int64_t out = op.weight.shape[0];
  if (op.bias) {
    check.same_dtype("bias", *op.bias, "x", op.x);
    check.shape("bias", *op.bias, {out}, "an element for each output of weight");
  }
  const Shape result = op.x.shape.with_last(out);
  if (op.residual) {
    check.same_dtype("residual", *op.residual, "x", op.x);
    check.shape("residual", *op.residual, result, "the shape of y");
  }
  check.output("y", op.y, result, op.x.dtype);
}

void check(LinearBackward& op) {
  const Check check(op);
  if (op.x) {
    check_operands(check, *op.x, op.weight);
    check.same_dtype("dy", op.dy, "x", *op.x);
    check.shape("dy", op.dy, op.x->shape.with_last(op.weight.shape[0]), "the shape of y");
  } else {
    check.floating("dy", op.dy);
    check.min_rank("dy", op.dy, 1);
    check.same_dtype("weight", op.weight, "dy", op.dy);
    check.rank("weight", op.weight, 2, "[out, in]");
    check.size("weight", op.weight, 0, op.dy.shape[-1], "the last size of dy");
    check.require(!op.dweight, "x", "missing", "what the gradient of weight is made of");
  }
  check.require(!op.dweight || op.weight.layout == Layout::rows, "weight", "packed", "rows when its gradient is asked for");
  check.output("dx", op.dx, op.dy.shape.with_last(op.weight.shape[1]), op.dy.dtype, "the shape of x");
  check.output("dweight", op.dweight, op.weight.shape, op.dy.dtype, "the shape of weight");
  check.output("dbias", op.dbias, {op.weight.shape[0]}, op.dy.dtype);
}

}  // namespace mglmm
