#include "kernels/layer_norm_2d.h"

#include "kernels/check.h"

namespace mglmm {
namespace {

// Checks x and weight; the shape of what there is one of a pixel.
template <typename Op>
Shape pixels_of(const Check& check, const Op& op) {
  check.floating("x", op.x);
  check.rank("x", op.x, 4, "[batch, channels, height, width]");
  check.shape("weight", op.weight, {op.x.shape[1]}, "the channels of x");
  check.same_dtype("weight", op.weight, "x", op.x);
  return {op.x.shape[0], op.x.shape[2], op.x.shape[3]};
}

}  // namespace

void check(LayerNorm2d& op) {
  const Check check(op);
  const Shape pixels = pixels_of(check, op);
  check.same("bias", op.bias, "weight", op.weight);
  check.positive("eps", op.eps);
  check.output("y", op.y, op.x.shape, op.x.dtype, "the shape of x");
  check.output("mean", op.mean, pixels, Dtype::f32, "the pixels of x");
  check.output("rstd", op.rstd, pixels, Dtype::f32, "the pixels of x");
}

void check(LayerNorm2dBackward& op) {
  const Check check(op);
  const Shape pixels = pixels_of(check, op);
  check.same("dy", op.dy, "x", op.x);
  check.shape("mean", op.mean, pixels, "the pixels of x");
  check.dtype("mean", op.mean, Dtype::f32);
  check.same("rstd", op.rstd, "mean", op.mean);
  check.output("dx", op.dx, op.x.shape, op.x.dtype, "the shape of x");
  check.output("dweight", op.dweight, op.weight.shape, op.x.dtype, "the shape of weight");
  check.output("dbias", op.dbias, op.weight.shape, op.x.dtype, "the shape of weight");
}

}  // namespace mglmm
