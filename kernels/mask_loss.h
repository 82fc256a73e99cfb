// The two losses of predicted masks in one pass, p = sigmoid(pred), sums over the pixels of one mask:
//   bce = sum over masks of mean(max(pred, 0) - pred * target + log(1 + exp(-|pred|))) / (count + 1e-8)
//   dice = sum over masks of 1 - (2 sum(p target) / scale + eps) / (sum(p) / scale + sum(target) / scale + eps), / (count +
//   1e-8)
// as in LISA, Lai et al. 2023, arXiv 2308.00692; there scale is 1000 and eps 1e-6. Beside them how good each mask is, which
// SAM's decoder learns to tell: pixels above 0 in both over those in either.
#pragma once
#include "kernels/fields.h"
#include "kernels/tensor.h"

namespace mglmm {

struct MaskLoss {
  ConstTensor pred;    // [masks, height, width]  logits, f32 | bf16 | f16
  ConstTensor target;  // [masks, height, width]  f32 | u8, 0 or 1
  double count = 0;    // masks that the losses are divided by: those of the whole batch
  double scale = 1000;
  double eps = 1e-6;
  Tensor bce;   // []  f32
  Tensor dice;  // []  f32
  Tensor iou;   // [masks]  f32, 1 where neither has a pixel; no gradient
  Saved sums;   // [masks, 3]  f32: sum(p target), sum(p), sum(target)
  MGLMM_OP(maskLoss, pred, target, count, scale, eps, bce, dice, iou, sums)
};

struct MaskLossBackward {
  MaybeTensor dbce;   // []  f32; 0 when missing
  MaybeTensor ddice;  // []  f32; 0 when missing
  ConstTensor pred;
  ConstTensor target;
  ConstTensor sums;
  double count = 0;
  double scale = 1000;
  double eps = 1e-6;
  Tensor dpred;  // shape and dtype of pred
  MGLMM_OP(maskLossBackward, dbce, ddice, pred, target, sums, count, scale, eps, dpred)
};

void check(MaskLoss& op);
void check(MaskLossBackward& op);

}  // namespace mglmm
