// Causal attention over a cache of keys and values that it also extends: what a language model runs when it generates.
// Row b of the batch has offsets[b] tokens in its cache; its first lengths[b] new tokens are appended there, and new token i
// sees the keys 0 .. offsets[b] + i. Each row is what it would be in a batch of its own, bit for bit. With `ropeBase`, q and
// k are turned first to the positions offsets[b] + i, and rounded, as rope does it: bit for bit what rope before gives. No
// gradient.
//
// With `pageTable` the caches are pages, of which a row has as many as it needs, in any order: token i of row b is in page
// pageTable[b, i / pageTokens]. Results do not depend on which pages those are. Rows may share a page, unless one of them
// appends to it.
#pragma once
#include "kernels/fields.h"
#include "kernels/tensor.h"

namespace mglmm {

struct AttentionCached {
  // An error leaves what the caches held.
  static constexpr bool kAppends = true;

  ConstTensor q;            // [batch, heads, tokens, headDim]  f32 | bf16 | f16; headDim 1 to 256
  ConstTensor k;            // [batch, kvHeads, tokens, headDim]  dtype of q
  ConstTensor v;            // [batch, kvHeads, tokens, headDim]  dtype of q
  InOut keyCache;           // [batch, kvHeads, capacity, headDim], or [pages, kvHeads, pageTokens, headDim]  dtype of q
  InOut valueCache;         // shape and dtype of keyCache
  ConstTensor offsets;      // [batch]  i32: 0 to capacity - lengths[b]
  MaybeTensor lengths;      // [batch]  i32: 0 to tokens, how many new tokens are real; default all
  MaybeTensor pageTable;    // [batch, rowPages]  i32: 0 to pages - 1 where a row has tokens; capacity: rowPages * pageTokens
  double softmaxScale = 0;  // 0: 1 / sqrt(headDim)
  double ropeBase = 0;      // base of kernels/rope.h, which needs an even headDim; 0: q and k come turned
  bool tokensFirst = false;  // q, k, v, y are [batch, tokens, heads, headDim] instead; the caches are not
  Tensor y;                  // shape and dtype of q; 0 for tokens from lengths[b] on
  MGLMM_OP(attentionCached, q, k, v, keyCache, valueCache, offsets, lengths, pageTable, softmaxScale, ropeBase, tokensFirst,
           y)
};

// Tokens of a page are a multiple of this: the keys that kernels take at a time lie in one.
inline constexpr int64_t kPageUnit = 64;

void check(AttentionCached& op);

}  // namespace mglmm
