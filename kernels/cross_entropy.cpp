#include "kernels/cross_entropy.h"

#include "kernels/check.h"

namespace mglmm {
namespace {

template <typename Op>
void check_inputs(const Check& check, const Op& op) {
  check.floating("logits", op.logits);
  check.min_rank("logits", op.logits, op.shift ? 2 : 1);
  check.dtype("labels", op.labels, Dtype::i32);
  check.shape("labels", op.labels, op.logits.shape.without_last(), "the shape of logits without its last axis");
}

}  // namespace

void check(CrossEntropy& op) {
  const Check check(op);
  check_inputs(check, op);
  check.output("loss", op.loss, {}, Dtype::f32);
  check.output("count", op.count, {}, Dtype::i32);
  check.output("logsumexp", op.logsumexp, op.labels.shape, Dtype::f32, "the shape of labels");
}

void check(CrossEntropyBackward& op) {
  const Check check(op);
  check_inputs(check, op);
  check.shape("dloss", op.dloss, {}, "the shape of loss");
  check.dtype("dloss", op.dloss, Dtype::f32);
  check.shape("count", op.count, {}, "the shape of the forward's count");
  check.dtype("count", op.count, Dtype::i32);
  check.same_shape("logsumexp", op.logsumexp, "labels", op.labels);
  check.dtype("logsumexp", op.logsumexp, Dtype::f32);
  check.output("dlogits", op.dlogits, op.logits.shape, op.logits.dtype, "the shape of logits");
}

}  // namespace mglmm
