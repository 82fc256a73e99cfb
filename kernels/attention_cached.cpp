#include "kernels/attention_cached.h"

#include "kernels/attention.h"
#include "kernels/check.h"

namespace mglmm {

void check(AttentionCached& op) {
  const Check check(op);
  check_heads(check, op.q, op.k, op.v, op.tokensFirst);
  const int tokens_axis = op.tokensFirst ? 1 : 2;
  check.size("k", op.k, tokens_axis, op.q.shape[tokens_axis], "the tokens of q");
  check.same_dtype("keyCache", op.keyCache, "q", op.q);
  check.rank("keyCache", op.keyCache, 4, "[batch, kvHeads, capacity, headDim]");
  const int64_t capacity = op.keyCache.shape[2];
  check.shape("keyCache", op.keyCache, {op.k.shape[0], op.k.shape[op.tokensFirst ? 2 : 1], capacity, op.k.shape[3]},
              "[batch, kvHeads, capacity, headDim]");
  check.require(capacity <= int64_t{1} << 30, "capacity", std::to_string(capacity), "at most 2^30");
  check.same("valueCache", op.valueCache, "keyCache", op.keyCache);
  check.require(op.keyCache.storage != op.valueCache.storage || op.keyCache.offset != op.valueCache.offset, "valueCache",
                "keyCache", "a tensor of its own");
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
