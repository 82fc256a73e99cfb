// Attention over a map of height x width tokens with decomposed relative position: with query token (ih, iw) and key token
// (jh, jw), logits = softmaxScale * q.k + q.relPosH[ih - jh + height - 1] + q.relPosW[iw - jw + width - 1], q unscaled in
// the last two. Li et al. 2022 (MViTv2), arXiv 2112.01526; used by SAM, Kirillov et al. 2023, arXiv 2304.02643.
#pragma once
#include "kernels/fields.h"
#include "kernels/tensor.h"

namespace mglmm {

struct SamAttention {
  ConstTensor q;            // [batch, heads, height * width, headDim]  f32 | bf16 | f16; headDim 1 to 256
  ConstTensor k;            // shape and dtype of q
  ConstTensor v;            // shape and dtype of q
  ConstTensor relPosH;      // [2 * height - 1, headDim]  dtype of q
  ConstTensor relPosW;      // [2 * width - 1, headDim]  dtype of q
  int64_t height = 0;       // at least 1
  int64_t width = 0;        // at least 1
  double softmaxScale = 0;  // 0: 1 / sqrt(headDim)
  Tensor y;                 // shape and dtype of q
  Saved logsumexp;          // [batch, heads, height * width]  f32, natural logarithm
  MGLMM_OP(samAttention, q, k, v, relPosH, relPosW, height, width, softmaxScale, y, logsumexp)
};

struct SamAttentionBackward {
  ConstTensor dy;  // shape and dtype of q
  ConstTensor q;
  ConstTensor k;
  ConstTensor v;
  ConstTensor relPosH;
  ConstTensor relPosW;
  ConstTensor y;          // of the forward
  ConstTensor logsumexp;  // of the forward
  int64_t height = 0;
  int64_t width = 0;
  double softmaxScale = 0;
  Tensor dq;
  Tensor dk;
  Tensor dv;
  Tensor drelPosH;
  Tensor drelPosW;
  MGLMM_OP(samAttentionBackward, dy, q, k, v, relPosH, relPosW, y, logsumexp, height, width, softmaxScale, dq, dk, dv,
           drelPosH, drelPosW)
};

// The same on the output of the qkv projection as it lies in memory, so that no head is copied; with `window` on each window
// of the map by itself, cut as kernels/window_partition.h does, where it lies.
struct SamAttentionPacked {
  ConstTensor qkv;      // [batch, height * width, 3 * heads * headDim]  q, k, v of a token one after another, head by head
  ConstTensor relPosH;  // [2 * side - 1, headDim]  dtype of qkv; side: window, or height without windows
  ConstTensor relPosW;  // [2 * side - 1, headDim]  dtype of qkv; side: window, or width without windows
  MaybeTensor padding;  // [3 * heads * headDim]  dtype of qkv, with a window: the tokens beyond the map; absent: zeros
  int64_t heads = 0;    // at least 1
  int64_t height = 0;   // at least 1
  int64_t width = 0;    // at least 1
  int64_t window = 0;   // tokens a side of the windows; 0: the whole map
  double softmaxScale = 0;
  Tensor y;         // [batch, height * width, heads * headDim]
  Saved logsumexp;  // [batch, heads, height * width], or [batch * windows, heads, window * window]: infinity beyond the map
  MGLMM_OP(samAttentionPacked, qkv, relPosH, relPosW, padding, heads, height, width, window, softmaxScale, y, logsumexp)
};

// Without windows: each may be given as a map.
struct SamAttentionPackedBackward {
  ConstTensor dy;  // [batch, height * width, heads * headDim]
  ConstTensor qkv;
  ConstTensor relPosH;
  ConstTensor relPosW;
  ConstTensor y;          // of the forward
  ConstTensor logsumexp;  // of the forward
  int64_t heads = 0;
  int64_t height = 0;
  int64_t width = 0;
  double softmaxScale = 0;
  Tensor dqkv;
  Tensor drelPosH;
  Tensor drelPosW;
  MGLMM_OP(samAttentionPackedBackward, dy, qkv, relPosH, relPosW, y, logsumexp, heads, height, width, softmaxScale, dqkv,
           drelPosH, drelPosW)
};

void check(SamAttention& op);
void check(SamAttentionBackward& op);
void check(SamAttentionPacked& op);
void check(SamAttentionPackedBackward& op);

}  // namespace mglmm
