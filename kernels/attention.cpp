#include "kernels/attention.h"

#include <cmath>

#include "kernels/check.h"

namespace mglmm {
namespace {

template <typename Op>
void check_inputs(const Check& check, Op& op) {
  check_heads(check, op.q, op.k, op.v, op.tokensFirst);
  if (op.keyMask) {
    check.dtype("keyMask", *op.keyMask, Dtype::u8);
    check.shape("keyMask", *op.keyMask, {op.k.shape[0], op.k.shape[op.tokensFirst ? 1 : 2]}, "[batch, keys]");
  }
  check_softmax_scale(check, op.softmaxScale, op.q.shape[3]);
}

Shape logsumexp_shape(const TensorRef& q, bool tokens_first) {
  return {q.shape[0], q.shape[tokens_first ? 2 : 1], q.shape[tokens_first ? 1 : 2]};
}

}  // namespace

void check_heads(const Check& check, const TensorRef& q, const TensorRef& k, const TensorRef& v, bool tokens_first) {
  const char* query_axes = tokens_first ? "[batch, queries, heads, headDim]" : "[batch, heads, queries, headDim]";
  const char* key_axes = tokens_first ? "[batch, keys, kvHeads, headDim]" : "[batch, kvHeads, keys, headDim]";
  const int heads_axis = tokens_first ? 2 : 1, tokens_axis = tokens_first ? 1 : 2;
  check.floating("q", q);
  check.rank("q", q, 4, query_axes);
  check.same_dtype("k", k, "q", q);
  check.rank("k", k, 4, key_axes);
  check.size("k", k, 0, q.shape[0], "the batch of q");
  check.size("k", k, 3, q.shape[3], "the headDim of q");
  check.same("v", v, "k", k);
  const int64_t heads = q.shape[heads_axis], kv_heads = k.shape[heads_axis];
  check.require(kv_heads > 0 ? heads % kv_heads == 0 : heads == 0, "heads", std::to_string(heads),
                "a multiple of the " + std::to_string(kv_heads) + " heads of k");
  check.require(q.shape[3] >= 1 && q.shape[3] <= 256, "headDim", std::to_string(q.shape[3]), "1 to 256");
  constexpr int64_t kMost = int64_t{1} << 30;
  check.require(k.shape[tokens_axis] <= kMost, "keys", std::to_string(k.shape[tokens_axis]), "at most 2^30");
  check.require(q.shape[tokens_axis] <= kMost, "queries", std::to_string(q.shape[tokens_axis]), "at most 2^30");
}

void check_softmax_scale(const Check& check, double& softmax_scale, int64_t head_dim) {
  if (softmax_scale == 0) softmax_scale = 1 / std::sqrt(static_cast<double>(head_dim));
  check.positive("softmaxScale", softmax_scale);
}

void check(Attention& op) {
  const Check check(op);
  check_inputs(check, op);
  check.output("y", op.y, op.q.shape, op.q.dtype, "the shape of q");
  check.output("logsumexp", op.logsumexp, logsumexp_shape(op.q, op.tokensFirst), Dtype::f32, "[batch, heads, queries]");
}

void check(AttentionBackward& op) {
  const Check check(op);
  check_inputs(check, op);
  check.same("dy", op.dy, "q", op.q);
  check.same("y", op.y, "q", op.q);
  check.dtype("logsumexp", op.logsumexp, Dtype::f32);
  check.shape("logsumexp", op.logsumexp, logsumexp_shape(op.q, op.tokensFirst), "[batch, heads, queries]");
  check.output("dq", op.dq, op.q.shape, op.q.dtype, "the shape of q");
  check.output("dk", op.dk, op.k.shape, op.k.dtype, "the shape of k");
  check.output("dv", op.dv, op.v.shape, op.v.dtype, "the shape of v");
}

}  // namespace mglmm
