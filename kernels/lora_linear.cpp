#include "kernels/lora_linear.h"

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

void check(MergeLora& op) {
  const Check check(op);
  check.floating("weight", op.weight);
  check_lora(check, op, "weight", op.weight);
  check.output("merged", op.merged, op.weight.shape, op.weight.dtype, "the shape of weight");
}

}  // namespace mglmm
