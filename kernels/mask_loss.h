// The two losses of predicted masks in one pass, p = sigmoid(pred), sums over the pixels of one mask:
//   bce = sum over masks of mean(max(pred, 0) - pred * target + log(1 + exp(-|pred|))) / (count + 1e-8)
//   dice = sum over masks of 1 - (2 sum(p target) / scale + eps) / (sum(p) / scale + sum(target) / scale + eps), / (count +
//   1e-8)
// as in LISA, Lai et al. 2023, arXiv 2308.00692; there scale is 1000 and eps 1e-6. Beside them how good each mask is, which
// SAM's decoder learns to tell: pixels above 0 in both over those in either.
// `pred` there is bilinear(bilinear(pred, inputSize, inputSize) cut to resized, height, width), as SAM's postprocess_masks
// makes it, Kirillov et al. 2023, arXiv 2304.02643; without inputSize it is bilinear(pred, height, width). A pixel is made
// of the logits around it when it is looked at (mask_axis.h), and its gradient goes back to them: there is no copy at the
// size of the target.
#pragma once
#include "kernels/fields.h"
#include "kernels/mask_axis.h"
#include "kernels/tensor.h"

namespace mglmm {

struct MaskLoss {
  ConstTensor pred;           // [masks, lowHeight, lowWidth]  logits, f32 | bf16 | f16
  ConstTensor target;         // [masks, height, width]  f32 | u8, 0 or 1
  int64_t inputSize = 0;      // a side of the network's input, in pixels; 0: pred is resized straight to the target
  int64_t resizedHeight = 0;  // of the input, from its upper left corner, what is picture
  int64_t resizedWidth = 0;
  double count = 0;  // masks that the losses are divided by: those of the whole batch
  double scale = 1000;
  double eps = 1e-6;
  Tensor bce;   // []  f32
  Tensor dice;  // []  f32
  Tensor iou;   // [masks]  f32, 1 where neither has a pixel; no gradient
  Saved sums;   // [masks, 3]  f32: sum(p target), sum(p), sum(target)
  MGLMM_OP(maskLoss, pred, target, inputSize, resizedHeight, resizedWidth, count, scale, eps, bce, dice, iou, sums)
};

struct MaskLossBackward {
  MaybeTensor dbce;   // []  f32; 0 when missing
  MaybeTensor ddice;  // []  f32; 0 when missing
  ConstTensor pred;
  ConstTensor target;
  ConstTensor sums;
  int64_t inputSize = 0;
  int64_t resizedHeight = 0;
  int64_t resizedWidth = 0;
  double count = 0;
  double scale = 1000;
  double eps = 1e-6;
  Tensor dpred;  // shape and dtype of pred
  MGLMM_OP(maskLossBackward, dbce, ddice, pred, target, sums, inputSize, resizedHeight, resizedWidth, count, scale, eps,
           dpred)
};

template <typename Op>
MaskAxis mask_rows(const Op& op) {
  return {op.pred.shape[1], op.inputSize, op.resizedHeight, op.target.shape[1]};
}
template <typename Op>
MaskAxis mask_columns(const Op& op) {
  return {op.pred.shape[2], op.inputSize, op.resizedWidth, op.target.shape[2]};
}

void check(MaskLoss& op);
void check(MaskLossBackward& op);

}  // namespace mglmm
