#include "kernels/rms_norm.h"

#include "kernels/check.h"

namespace mglmm {
namespace {

template <typename Op>
void check_inputs(const Check& check, const Op& op) {
  check.floating("x", op.x);
  check.min_rank("x", op.x, 1);
  check.shape("weight", op.weight, {op.x.shape[-1]}, "the last size of x");
  check.same_dtype("weight", op.weight, "x", op.x);
}

}  // namespace

void check(RmsNorm& op) {
  const Check check(op);
  check_inputs(check, op);
  check.positive("eps", op.eps);
  check.output("y", op.y, op.x.shape, op.x.dtype, "the shape of x");
  check.output("rstd", op.rstd, op.x.shape.without_last(), Dtype::f32, "the rows of x");
}

void check(RmsNormBackward& op) {
  const Check check(op);
  check_inputs(check, op);
  check.same("dy", op.dy, "x", op.x);
  check.shape("rstd", op.rstd, op.x.shape.without_last(), "the rows of x");
  check.dtype("rstd", op.rstd, Dtype::f32);
  check.output("dx", op.dx, op.x.shape, op.x.dtype, "the shape of x");
  check.output("dweight", op.dweight, op.weight.shape, op.x.dtype, "the shape of weight");
}

}  // namespace mglmm
