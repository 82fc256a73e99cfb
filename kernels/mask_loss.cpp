#include "kernels/mask_loss.h"

#include <cmath>

#include "kernels/check.h"

namespace mglmm {
namespace {

template <typename Op>
void check_inputs(const Check& check, const Op& op) {
  check.floating("pred", op.pred);
  check.rank("pred", op.pred, 3, "[masks, height, width]");
  check.same_shape("target", op.target, "pred", op.pred);
  if (op.target.dtype != Dtype::f32 && op.target.dtype != Dtype::u8) {
    check.fail(kDtypeError, std::string("target is ") + to_string(op.target.dtype) + ", expected f32 or u8");
  }
  check.require(std::isfinite(op.count) && op.count >= 0, "count", std::to_string(op.count), "a finite number, 0 or more");
  check.positive("scale", op.scale);
  check.positive("eps", op.eps);
}

}  // namespace

void check(MaskLoss& op) {
  const Check check(op);
  check_inputs(check, op);
  check.output("bce", op.bce, Shape{}, Dtype::f32, "one number");
  check.output("dice", op.dice, Shape{}, Dtype::f32, "one number");
  check.output("iou", op.iou, Shape{op.pred.shape[0]}, Dtype::f32, "one number a mask");
  check.output("sums", op.sums, Shape{op.pred.shape[0], 3}, Dtype::f32, "three sums a mask");
}

void check(MaskLossBackward& op) {
  const Check check(op);
  check_inputs(check, op);
  check.shape("sums", op.sums, Shape{op.pred.shape[0], 3}, "three sums a mask");
  check.dtype("sums", op.sums, Dtype::f32);
  for (const auto& [name, gradient] : {std::pair("dbce", &op.dbce), std::pair("ddice", &op.ddice)}) {
    if (!*gradient) continue;
    check.shape(name, **gradient, Shape{}, "one number");
    check.dtype(name, **gradient, Dtype::f32);
  }
  check.output("dpred", op.dpred, op.pred.shape, op.pred.dtype, "the shape of pred");
}

}  // namespace mglmm
