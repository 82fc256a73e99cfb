// Scaled dot-product attention: y = softmax(softmaxScale * q k^T) v over the keys a query may see. Vaswani et al. 2017,
// arXiv 1706.03762; tiled with a running maximum as Dao et al. 2022, arXiv 2205.14135, so no [queries, keys] is kept.
// heads / kvHeads consecutive query heads share a head of k and v. A query that sees no key gives 0 and no gradient.
#pragma once
#include "kernels/fields.h"
#include "kernels/tensor.h"

namespace mglmm {

class Check;

struct Attention {
  ConstTensor q;             // [batch, heads, queries, headDim]  f32 | bf16 | f16; headDim 1 to 256
  ConstTensor k;             // [batch, kvHeads, keys, headDim]  dtype of q
  ConstTensor v;             // [batch, kvHeads, keys, headDim]  shape and dtype of k
  MaybeTensor keyMask;       // [batch, keys]  u8: 0 hides a key
  bool causal = false;       // query i sees keys j <= i + keys - queries (aligned at the bottom right)
  double softmaxScale = 0;   // 0: 1 / sqrt(headDim)
  bool tokensFirst = false;  // q, k, v, y are [batch, tokens, heads, headDim] instead, as a projection leaves them
  Tensor y;                  // shape and dtype of q
  Saved logsumexp;           // [batch, heads, queries]  f32, natural logarithm; +infinity where no key is seen
  MGLMM_OP(attention, q, k, v, keyMask, causal, softmaxScale, tokensFirst, y, logsumexp)
};

struct AttentionBackward {
  ConstTensor dy;  // shape and dtype of q
  ConstTensor q;
  ConstTensor k;
  ConstTensor v;
  MaybeTensor keyMask;
  ConstTensor y;          // of the forward
  ConstTensor logsumexp;  // of the forward
  bool causal = false;
  double softmaxScale = 0;
  bool tokensFirst = false;
  Tensor dq;  // softmaxScale * ds k, ds = p * (dy v^T - sum(dy * y)), p = exp(logits - logsumexp)
  Tensor dk;  // softmaxScale * ds^T q, summed over the query heads that share it
  Tensor dv;  // p^T dy, summed over the query heads that share it
  MGLMM_OP(attentionBackward, dy, q, k, v, keyMask, y, logsumexp, causal, softmaxScale, tokensFirst, dq, dk, dv)
};

void check(Attention& op);
void check(AttentionBackward& op);

// What attention and its cached form ask of q and of the keys it meets.
void check_heads(const Check& check, const TensorRef& q, const TensorRef& k, const TensorRef& v, bool tokens_first);
void check_softmax_scale(const Check& check, double& softmax_scale, int64_t head_dim);

}  // namespace mglmm
