#include "kernels/linear_cross_entropy.h"

#include <string>

#include "kernels/check.h"

namespace mglmm {

void check(LinearCrossEntropy& op) {
  const Check check(op);
  check.floating("hidden", op.hidden);
  check.min_rank("hidden", op.hidden, op.shift ? 2 : 1);
  check.rank("weight", op.weight, 2, "[vocab, dim]");
  check.size("weight", op.weight, 1, op.hidden.shape[-1], "the last size of hidden");
  check.same_dtype("weight", op.weight, "hidden", op.hidden);
  check.dtype("labels", op.labels, Dtype::i32);
  check.shape("labels", op.labels, op.hidden.shape.without_last(), "the shape of hidden without its last axis");
  check.require(!op.dweight || op.weight.layout == Layout::rows, "weight", "packed", "rows, to have a gradient");
  check.output("loss", op.loss, {}, Dtype::f32);
  check.output("count", op.count, {}, Dtype::i32);
  check.output("dhidden", op.dhidden, op.hidden.shape, op.hidden.dtype, "the shape of hidden");
  check.output("dweight", op.dweight, op.weight.shape, op.hidden.dtype, "the shape of weight");
}

void check(LinearCrossEntropyBackward& op) {
  const Check check(op);
  check.shape("dloss", op.dloss, {}, "the shape of loss");
  check.dtype("dloss", op.dloss, Dtype::f32);
  for (size_t i = 0; i < op.gradients.size(); ++i) {
    check.floating(("gradients[" + std::to_string(i) + "]").c_str(), op.gradients[i]);
  }
}

}  // namespace mglmm
