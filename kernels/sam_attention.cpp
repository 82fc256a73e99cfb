#include "kernels/sam_attention.h"

#include "kernels/attention.h"
#include "kernels/check.h"
#include "kernels/window_partition.h"

namespace mglmm {
namespace {

// Kernels index a table times a tile of queries in 32 bits.
void check_tokens(const Check& check, const char* name, int64_t tokens) {
  check.require(tokens <= int64_t{1} << 22, name, std::to_string(tokens), "at most 2^22");
}

// `tokens_axis` of `x` holds the map.
template <typename Op>
void check_map(const Check& check, const Op& op, const char* name, const TensorRef& x, int tokens_axis) {
  check.require(op.height >= 1, "height", std::to_string(op.height), "at least 1");
  check.require(op.width >= 1, "width", std::to_string(op.width), "at least 1");
  const int64_t tokens = Shape{op.height, op.width}.count();
  check.size(name, x, tokens_axis, tokens, "height * width");
  check_tokens(check, "height * width", tokens);
}

template <typename Op>
void check_tables(const Check& check, const Op& op, const char* name, const TensorRef& x, int64_t head_dim,
                  int64_t window = 0) {
  const bool windows = window > 0;
  check.same_dtype("relPosH", op.relPosH, name, x);
  check.shape("relPosH", op.relPosH, {2 * (windows ? window : op.height) - 1, head_dim},
              windows ? "[2 * window - 1, headDim]" : "[2 * height - 1, headDim]");
  check.same_dtype("relPosW", op.relPosW, name, x);
  check.shape("relPosW", op.relPosW, {2 * (windows ? window : op.width) - 1, head_dim},
              windows ? "[2 * window - 1, headDim]" : "[2 * width - 1, headDim]");
}

template <typename Op>
void check_inputs(const Check& check, Op& op) {
  check.same("k", op.k, "q", op.q);
  check_heads(check, op.q, op.k, op.v, false);
  check_map(check, op, "q", op.q, 2);
  check_tables(check, op, "q", op.q, op.q.shape[3]);
  check_softmax_scale(check, op.softmaxScale, op.q.shape[3]);
}

template <typename Op>
int64_t check_packed(const Check& check, Op& op, int64_t window = 0) {
  check.floating("qkv", op.qkv);
  check.rank("qkv", op.qkv, 3, "[batch, height * width, 3 * heads * headDim]");
  check.require(op.heads >= 1, "heads", std::to_string(op.heads), "at least 1");
  check_map(check, op, "qkv", op.qkv, 1);
  const int64_t last = op.qkv.shape[2], head_dim = last / 3 / op.heads;
  check.require(last % 3 == 0 && last / 3 % op.heads == 0, "qkv", to_string(op.qkv.shape),
                "a last size of 3 * " + std::to_string(op.heads) + " * headDim");
  check.require(head_dim >= 1 && head_dim <= 256, "headDim", std::to_string(head_dim), "1 to 256");
  check_tables(check, op, "qkv", op.qkv, head_dim, window);
  check_softmax_scale(check, op.softmaxScale, head_dim);
  return head_dim;
}

template <typename Op>
void check_saved(const Check& check, const Op& op, const Shape& y, const Shape& logsumexp, Dtype dtype) {
  for (const auto& [name, tensor] : {std::pair<const char*, const TensorRef&>{"dy", op.dy}, {"y", op.y}}) {
    check.shape(name, tensor, y, "the shape of the result");
    check.dtype(name, tensor, dtype);
  }
  check.dtype("logsumexp", op.logsumexp, Dtype::f32);
  check.shape("logsumexp", op.logsumexp, logsumexp, "[batch, heads, height * width]");
}

template <typename Op>
void check_table_gradients(const Check& check, Op& op) {
  check.output("drelPosH", op.drelPosH, op.relPosH.shape, op.relPosH.dtype, "the shape of relPosH");
  check.output("drelPosW", op.drelPosW, op.relPosW.shape, op.relPosW.dtype, "the shape of relPosW");
}

}  // namespace

void check(SamAttention& op) {
  const Check check(op);
  check_inputs(check, op);
  check.output("y", op.y, op.q.shape, op.q.dtype, "the shape of q");
  check.output("logsumexp", op.logsumexp, op.q.shape.without_last(), Dtype::f32, "[batch, heads, height * width]");
}

void check(SamAttentionBackward& op) {
  const Check check(op);
  check_inputs(check, op);
  check_saved(check, op, op.q.shape, op.q.shape.without_last(), op.q.dtype);
  check.output("dq", op.dq, op.q.shape, op.q.dtype, "the shape of q");
  check.output("dk", op.dk, op.k.shape, op.k.dtype, "the shape of k");
  check.output("dv", op.dv, op.v.shape, op.v.dtype, "the shape of v");
  check_table_gradients(check, op);
}

void check(SamAttentionPacked& op) {
  const Check check(op);
  check.require(op.window >= 0, "window", std::to_string(op.window), "at least 1, or 0 for the whole map");
  const Shape square{op.window, op.window};
  check_tokens(check, "window * window", square.count());
  const int64_t head_dim = check_packed(check, op, op.window);
  const Shape& shape = op.qkv.shape;
  if (op.padding) {
    check.require(op.window > 0, "padding", "given", "a window beside it");
    check.same_dtype("padding", *op.padding, "qkv", op.qkv);
    check.shape("padding", *op.padding, {shape[2]}, "the last size of qkv");
  }
  check.output("y", op.y, shape.with_last(op.heads * head_dim), op.qkv.dtype);
  Shape logsumexp{shape[0], op.heads, shape[1]};
  if (op.window > 0) {
    const Shape windows{shape[0], windows_along(op.height, op.window), windows_along(op.width, op.window)};
    logsumexp = {windows.count(), op.heads, square.count()};
  }
  check.output("logsumexp", op.logsumexp, logsumexp, Dtype::f32);
}

void check(SamAttentionPackedBackward& op) {
  const Check check(op);
  const int64_t head_dim = check_packed(check, op);
  const Shape& shape = op.qkv.shape;
  check_saved(check, op, shape.with_last(op.heads * head_dim), {shape[0], op.heads, shape[1]}, op.qkv.dtype);
  check.output("dqkv", op.dqkv, shape, op.qkv.dtype, "the shape of qkv");
  check_table_gradients(check, op);
}

}  // namespace mglmm
