#include "kernels/layer_norm.h"

#include "kernels/check.h"

namespace mglmm {

void check(LayerNorm& op) {
  const Check check(op);
  check.floating("x", op.x);
  check.min_rank("x", op.x, 1);
  check.shape("weight", op.weight, {op.x.shape[-1]}, "the last size of x");
  check.same_dtype("weight", op.weight, "x", op.x);
  check.same("bias", op.bias, "weight", op.weight);
  check.positive("eps", op.eps);
  check.output("y", op.y, op.x.shape, op.x.dtype, "the shape of x");
  check.output("mean", op.mean, op.x.shape.without_last(), Dtype::f32, "the rows of x");
  check.output("rstd", op.rstd, op.x.shape.without_last(), Dtype::f32, "the rows of x");
}

void check(LayerNormBackward& op) {
  const Check check(op);
  check.floating("x", op.x);
  check.min_rank("x", op.x, 1);
  check.shape("weight", op.weight, {op.x.shape[-1]}, "the last size of x");
  check.same_dtype("weight", op.weight, "x", op.x);
  check.same("dy", op.dy, "x", op.x);
  check.shape("mean", op.mean, op.x.shape.without_last(), "the rows of x");
  check.dtype("mean", op.mean, Dtype::f32);
  check.same("rstd", op.rstd, "mean", op.mean);
  check.output("dx", op.dx, op.x.shape, op.x.dtype, "the shape of x");
  check.output("dweight", op.dweight, op.weight.shape, op.x.dtype, "the shape of weight");
  check.output("dbias", op.dbias, op.weight.shape, op.x.dtype, "the shape of weight");
}

}  // namespace mglmm
