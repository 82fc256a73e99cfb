#include "kernels/lora_linear.h"

#include <string>

#include "kernels/check.h"

namespace mglmm {
namespace {

template <typename Op>
void check_lora(const Check& check, const Op& op, const char* like_name, const TensorRef& like) {
  check.rank("weight", op.weight, 2, "[out, in]");
  check.same_dtype("loraA", op.loraA, like_name, like);
  check.rank("loraA", op.loraA, 2, "[rank, in]");
  check.size("loraA", op.loraA, 1, op.weight.shape[1], "the inputs of weight");
  check.same_dtype("loraB", op.loraB, like_name, like);
  check.shape("loraB", op.loraB, {op.weight.shape[0], op.loraA.shape[0]}, "the outputs of weight by the rank of loraA");
  check.finite("scaling", op.scaling);
}

template <typename Op>
void check_operands(const Check& check, const Op& op) {
  check.floating("x", op.x);
  check.min_rank("x", op.x, 1);
  check.same_dtype("weight", op.weight, "x", op.x);
  check_lora(check, op, "x", op.x);
  check.size("weight", op.weight, 1, op.x.shape[-1], "the last size of x");
  if (op.xDropped) check.same("xDropped", *op.xDropped, "x", op.x);
}

}  // namespace

void check(LoraLinear& op) {
  const Check check(op);
  check_operands(check, op);
  const int64_t out = op.weight.shape[0];
  if (op.bias) {
    check.same_dtype("bias", *op.bias, "x", op.x);
    check.shape("bias", *op.bias, {out}, "an element for each output of weight");
  }
  check.output("y", op.y, op.x.shape.with_last(out), op.x.dtype);
}

void check(LoraLinearBackward& op) {
  const Check check(op);
  check_operands(check, op);
  const Dtype dtype = op.x.dtype;
  check.same_dtype("dy", op.dy, "x", op.x);
  check.shape("dy", op.dy, op.x.shape.with_last(op.weight.shape[0]), "the shape of y");
  check.require(!op.dweight || op.weight.layout == Layout::rows, "weight", "packed", "rows when its gradient is asked for");
  if (op.dxDropped.wanted && !op.xDropped) op.dxDropped.wanted = false;
  check.require(!op.dxDropped || op.xDropped.has_value(), "xDropped", "absent", "a tensor when its gradient is asked for");
  check.output("dx", op.dx, op.x.shape, dtype, "the shape of x");
  check.output("dweight", op.dweight, op.weight.shape, dtype, "the shape of weight");
  check.output("dloraA", op.dloraA, op.loraA.shape, dtype, "the shape of loraA");
  check.output("dloraB", op.dloraB, op.loraB.shape, dtype, "the shape of loraB");
  check.output("dbias", op.dbias, {op.weight.shape[0]}, dtype);
  check.output("dxDropped", op.dxDropped, op.x.shape, dtype, "the shape of x");
}

void check(AddLoraByRow& op) {
  const Check check(op);
  check.floating("layer", op.layer);
  check.min_rank("layer", op.layer, 2);
  check.same_dtype("x", op.x, "layer", op.layer);
  check.min_rank("x", op.x, 2);
  const int64_t in = op.x.shape[-1], out = op.layer.shape[-1];
  check.shape("layer", op.layer, op.x.shape.with_last(out), "the shape of x but for the last size");
  const auto expect_as_many = [&](const char* name, size_t size) {
    check.require(size == op.loraA.size(), name, "a list of " + std::to_string(size),
                  std::to_string(op.loraA.size()) + ", as many as loraA");
  };
  expect_as_many("loraB", op.loraB.size());
  expect_as_many("scalings", op.scalings.size());
  for (size_t i = 0; i < op.loraA.size(); ++i) {
    const std::string at = "[" + std::to_string(i) + "]", a = "loraA" + at, b = "loraB" + at;
    check.same_dtype(a.c_str(), op.loraA[i], "layer", op.layer);
    check.rank(a.c_str(), op.loraA[i], 2, "[rank, in]");
    check.size(a.c_str(), op.loraA[i], 1, in, "the last size of x");
    check.same_dtype(b.c_str(), op.loraB[i], "layer", op.layer);
    check.shape(b.c_str(), op.loraB[i], {out, op.loraA[i].shape[0]}, ("the last size of layer by the rank of " + a).c_str());
    check.finite(("scalings" + at).c_str(), op.scalings[i]);
  }
  check.require(static_cast<int64_t>(op.adapters.size()) == op.x.shape[0], "adapters",
                "a list of " + std::to_string(op.adapters.size()), std::to_string(op.x.shape[0]) + ", the batch of x");
  const auto most = static_cast<int64_t>(op.loraA.size()) - 1;
  for (size_t i = 0; i < op.adapters.size(); ++i) {
    check.require(op.adapters[i] >= -1 && op.adapters[i] <= most, "adapters[" + std::to_string(i) + "]",
                  std::to_string(op.adapters[i]), most < 0 ? "-1, as there are none" : "-1 to " + std::to_string(most));
  }
  check.output("y", op.y, op.layer.shape, op.layer.dtype);
}

void check(MergeLora& op) {
  const Check check(op);
  check.floating("weight", op.weight);
  check_lora(check, op, "weight", op.weight);
  check.output("merged", op.merged, op.weight.shape, op.weight.dtype, "the shape of weight");
}

}  // namespace mglmm
