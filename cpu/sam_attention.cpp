#include "kernels/sam_attention.h"

#include <limits>

#include "cpu/attention/attend.h"
#include "kernels/window_partition.h"

namespace mglmm::cpu {
namespace {

template <typename Op>
AttentionProblem problem_of(const Op& op, const TensorRef& logsumexp) {
  AttentionProblem problem;
  if (logsumexp) problem.logsumexp = reinterpret_cast<float*>(logsumexp.raw());
  problem.scale = static_cast<float>(op.softmaxScale);
  problem.rel_pos_h = op.relPosH;
  problem.rel_pos_w = op.relPosW;
  problem.height = op.height;
  problem.width = op.width;
  problem.queries = problem.keys = op.height * op.width;
  return problem;
}

template <typename Op>
AttentionProblem separate(const Op& op) {
  AttentionProblem problem = problem_of(op, op.logsumexp);
  problem.q = heads_of(op.q, false);
  problem.k = heads_of(op.k, false);
  problem.v = heads_of(op.v, false);
  problem.y = heads_of(op.y, false);
  problem.batch = op.q.shape[0];
  problem.heads = problem.kv_heads = op.q.shape[1];
  problem.head_dim = op.q.shape[3];
  return problem;
}

// Part 0, 1 or 2 (of `parts`) of [batch, tokens, parts * heads * headDim].
Heads part_of(const TensorRef& tensor, int64_t part, int64_t parts, int64_t heads) {
  if (!tensor) return {};
  const int64_t tokens = tensor.shape[1], last = tensor.shape[2];
  return {tensor.raw() + part * (last / parts) * size_of(tensor.dtype), tensor.dtype, tokens * last, last / parts / heads,
          last};
}

template <typename Op>
AttentionProblem packed(const Op& op) {
  AttentionProblem problem = problem_of(op, op.logsumexp);
  problem.q = part_of(op.qkv, 0, 3, op.heads);
  problem.k = part_of(op.qkv, 1, 3, op.heads);
  problem.v = part_of(op.qkv, 2, 3, op.heads);
  problem.y = part_of(op.y, 0, 1, op.heads);
  problem.batch = op.qkv.shape[0];
  problem.heads = problem.kv_heads = op.heads;
  problem.head_dim = op.qkv.shape[2] / 3 / op.heads;
  return problem;
}

// Windows in the place of maps.
void cut(AttentionProblem& problem, const SamAttentionPacked& op, Stream& stream) {
  problem.map_height = op.height;
  problem.map_width = op.width;
  problem.height = problem.width = op.window;
  problem.queries = problem.keys = op.window * op.window;
  problem.batch *= windows_along(op.height, op.window) * windows_along(op.width, op.window);
  if (problem.logsumexp) std::fill_n(problem.logsumexp, op.logsumexp.count(), std::numeric_limits<float>::infinity());
  const int64_t part = op.qkv.shape[2] / 3 * size_of(op.qkv.dtype);
  std::byte* zeros = op.padding ? nullptr : stream.scratch(part);
  if (zeros) std::fill_n(zeros, part, std::byte{0});
  problem.k.padding = zeros ? zeros : op.padding->raw() + part;
  problem.v.padding = zeros ? zeros : op.padding->raw() + 2 * part;
}

}  // namespace

void run(const SamAttention& op, Stream& stream) { attend(separate(op), stream); }

void run(const SamAttentionBackward& op, Stream& stream) {
  const AttentionGradients gradients{heads_of(op.dy, false),
                                     heads_of(op.dq, false),
                                     heads_of(op.dk, false),
                                     heads_of(op.dv, false),
                                     op.drelPosH,
                                     op.drelPosW};
  attend_backward(separate(op), gradients, stream);
}

void run(const SamAttentionPacked& op, Stream& stream) {
  AttentionProblem problem = packed(op);
  if (op.window > 0) cut(problem, op, stream);
  attend(problem, stream);
}

void run(const SamAttentionPackedBackward& op, Stream& stream) {
  const AttentionGradients gradients{part_of(op.dy, 0, 1, op.heads),
                                     part_of(op.dqkv, 0, 3, op.heads),
                                     part_of(op.dqkv, 1, 3, op.heads),
                                     part_of(op.dqkv, 2, 3, op.heads),
                                     op.drelPosH,
                                     op.drelPosW};
  attend_backward(packed(op), gradients, stream);
}

}  // namespace mglmm::cpu
