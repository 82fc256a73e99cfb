#include "kernels/attention.h"

#include "cpu/attention/attend.h"

namespace mglmm::cpu {
namespace {

template <typename Op>
AttentionProblem problem_of(const Op& op, const TensorRef& logsumexp) {
  const int heads_axis = op.tokensFirst ? 2 : 1, tokens_axis = op.tokensFirst ? 1 : 2;
  AttentionProblem problem;
  problem.q = heads_of(op.q, op.tokensFirst);
  problem.k = heads_of(op.k, op.tokensFirst);
  problem.v = heads_of(op.v, op.tokensFirst);
  problem.y = heads_of(op.y, op.tokensFirst);
  problem.batch = op.q.shape[0];
  problem.heads = op.q.shape[heads_axis];
  problem.kv_heads = op.k.shape[heads_axis];
  problem.queries = op.q.shape[tokens_axis];
  problem.keys = op.k.shape[tokens_axis];
  problem.head_dim = op.q.shape[3];
  problem.scale = static_cast<float>(op.softmaxScale);
  problem.causal = op.causal;
  if (op.keyMask) problem.key_mask = op.keyMask->template data<uint8_t>();
  if (logsumexp) problem.logsumexp = reinterpret_cast<float*>(logsumexp.raw());
  return problem;
}

}  // namespace

void run(const Attention& op, Stream& stream) { attend(problem_of(op, op.logsumexp), stream); }

void run(const AttentionBackward& op, Stream& stream) {
  const AttentionGradients gradients{heads_of(op.dy, op.tokensFirst),
                                     heads_of(op.dq, op.tokensFirst),
                                     heads_of(op.dk, op.tokensFirst),
                                     heads_of(op.dv, op.tokensFirst),
                                     {},
                                     {}};
  attend_backward(problem_of(op, op.logsumexp), gradients, stream);
}

}  // namespace mglmm::cpu
