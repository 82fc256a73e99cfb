#include "kernels/mask_loss.h"

#include <algorithm>
#include <cmath>

#include "kernels/check.h"

namespace mglmm {
namespace {

template <typename Op>
void check_inputs(const Check& check, const Op& op) {
  check.floating("pred", op.pred);
  check.rank("pred", op.pred, 3, "[masks, lowHeight, lowWidth]");
  check.rank("target", op.target, 3, "[masks, height, width]");
  check.size("target", op.target, 0, op.pred.shape[0], "the masks of pred");
  if (op.target.dtype != Dtype::f32 && op.target.dtype != Dtype::u8) {
    check.fail(kDtypeError, std::string("target is ") + to_string(op.target.dtype) + ", expected f32 or u8");
  }
  constexpr int64_t kMost = int64_t{1} << 24;  // pixels along an axis, whose middles f64 tells apart
  for (const auto& [name, tensor] : {std::pair("pred", &op.pred), std::pair("target", &op.target)}) {
    if (tensor->shape[1] <= kMost && tensor->shape[2] <= kMost) continue;
    check.fail(kShapeError,
               std::string(name) + " is " + to_string(tensor->shape) + ", expected at most 2^24 pixels along an axis");
  }
  if (op.pred.count() == 0 && op.target.count() > 0)
    check.fail(kShapeError, "pred is " + to_string(op.pred.shape) + ", expected at least one pixel");
  if (op.inputSize != 0 || op.resizedHeight != 0 || op.resizedWidth != 0) {
    const auto within = [&](const char* name, int64_t value, int64_t least, int64_t most, const std::string& expected) {
      check.require(value >= least && value <= most, name, std::to_string(value), expected);
    };
    const int64_t side = std::max<int64_t>({op.pred.shape[1], op.pred.shape[2], 1});
    within("inputSize", op.inputSize, side, kMost, std::to_string(side) + ", the longer side of pred, to 2^24");
    const std::string part = "1 to " + std::to_string(op.inputSize) + ", inputSize";
    within("resizedHeight", op.resizedHeight, 1, op.inputSize, part);
    within("resizedWidth", op.resizedWidth, 1, op.inputSize, part);
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
