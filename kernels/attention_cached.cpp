#include "kernels/attention_cached.h"

#include <algorithm>

#include "kernels/attention.h"
#include "kernels/check.h"

namespace mglmm {
namespace {

constexpr int64_t kMostTokens = int64_t{1} << 30;

}  // namespace

void check(AttentionCached& op) {
  const Check check(op);
  check_heads(check, op.q, op.k, op.v, op.tokensFirst);
  const int tokens_axis = op.tokensFirst ? 1 : 2;
  check.size("k", op.k, tokens_axis, op.q.shape[tokens_axis], "the tokens of q");
  check.same_dtype("keyCache", op.keyCache, "q", op.q);
  check.rank("keyCache", op.keyCache, 4, "[batch, kvHeads, capacity, headDim]");
  const int64_t batch = op.q.shape[0], kv_heads = op.k.shape[op.tokensFirst ? 2 : 1], tokens = op.keyCache.shape[2];
  int64_t capacity = tokens;
  if (op.pageTable) {
    check.dtype("pageTable", *op.pageTable, Dtype::i32);
    check.rank("pageTable", *op.pageTable, 2, "[batch, rowPages]");
    check.size("pageTable", *op.pageTable, 0, batch, "the batch of q");
    check.shape("keyCache", op.keyCache, {op.keyCache.shape[0], kv_heads, tokens, op.k.shape[3]},
                "[pages, kvHeads, pageTokens, headDim]");
    check.require(tokens > 0 && tokens % kPageUnit == 0, "pageTokens", std::to_string(tokens), "a multiple of 64");
    // Where either is too large, their product is not formed.
    capacity = std::max(tokens, op.pageTable->shape[1]) > kMostTokens ? kMostTokens + 1 : tokens * op.pageTable->shape[1];
  } else {
    check.shape("keyCache", op.keyCache, {batch, kv_heads, tokens, op.k.shape[3]}, "[batch, kvHeads, capacity, headDim]");
  }
  check.require(capacity <= kMostTokens, "capacity", std::to_string(capacity), "at most 2^30");
  check.same("valueCache", op.valueCache, "keyCache", op.keyCache);
  check.apart({{"keyCache", &op.keyCache}, {"valueCache", &op.valueCache}});
  check.dtype("offsets", op.offsets, Dtype::i32);
  check.shape("offsets", op.offsets, {op.q.shape[0]}, "[batch]");
  if (op.lengths) {
    check.dtype("lengths", *op.lengths, Dtype::i32);
    check.shape("lengths", *op.lengths, {op.q.shape[0]}, "[batch]");
  }
  check_softmax_scale(check, op.softmaxScale, op.q.shape[3]);
  if (op.ropeBase != 0) {
    check.positive("ropeBase", op.ropeBase);
    check.require(op.q.shape[3] % 2 == 0, "headDim", std::to_string(op.q.shape[3]), "an even number, as ropeBase is given");
  }
  check.output("y", op.y, op.q.shape, op.q.dtype, "the shape of q");
}

}  // namespace mglmm
