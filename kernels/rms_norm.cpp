#include "kernels/rms_norm.h"

#include "kernels/check.h"

namespace mglmm {
namespace {

void check_inputs(const Check& check, const char* name, const ConstTensor& x, const ConstTensor& weight) {
  check.floating(name, x);
  check.min_rank(name, x, 1);
  check.shape("weight", weight, {x.shape[-1]}, (std::string("the last size of ") + name).c_str());
  check.same_dtype("weight", weight, name, x);
}

template <typename Op>
void check_outputs(const Check& check, Op& op) {
  check.positive("eps", op.eps);
  check.output("y", op.y, op.x.shape, op.x.dtype, "the shape of x");
  check.output("rstd", op.rstd, op.x.shape.without_last(), Dtype::f32, "the rows of x");
}

template <typename Op>
void check_gradients(const Check& check, const char* name, const ConstTensor& x, Op& op) {
  check.shape("rstd", op.rstd, x.shape.without_last(), (std::string("the rows of ") + name).c_str());
  check.dtype("rstd", op.rstd, Dtype::f32);
  check.output("dx", op.dx, x.shape, x.dtype, (std::string("the shape of ") + name).c_str());
  check.output("dweight", op.dweight, op.weight.shape, x.dtype, "the shape of weight");
}

}  // namespace

void check(RmsNorm& op) {
  const Check check(op);
  check_inputs(check, "x", op.x, op.weight);
  check_outputs(check, op);
}

void check(RmsNormBackward& op) {
  const Check check(op);
  check_inputs(check, "x", op.x, op.weight);
  check.same("dy", op.dy, "x", op.x);
  check_gradients(check, "x", op.x, op);
}

void check(AddRmsNorm& op) {
  const Check check(op);
  check_inputs(check, "x", op.x, op.weight);
  check.same("residual", op.residual, "x", op.x);
  check_outputs(check, op);
  check.output("sum", op.sum, op.x.shape, op.x.dtype, "the shape of x");
}

void check(AddRmsNormBackward& op) {
  const Check check(op);
  check_inputs(check, "sum", op.sum, op.weight);
  if (op.dy) check.same("dy", *op.dy, "sum", op.sum);
  if (op.dsum) check.same("dsum", *op.dsum, "sum", op.sum);
  check_gradients(check, "sum", op.sum, op);
}

}  // namespace mglmm
