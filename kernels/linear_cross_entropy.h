// The head of a language model and its loss as one: crossEntropy(linear(hidden, weight), labels) without all the logits.
// Rows with a label are gathered, and pass in chunks whose logits, in the dtype of hidden, fill at most 64 MiB; rows
// without one cost nothing. The gradients are made beside the loss, while a chunk's logits are at hand: making them later
// would cost the product with the head twice. backward only scales them. Sums in f32; with several chunks dweight is
// rounded to its dtype after each.
#pragma once
#include <vector>

#include "kernels/cross_entropy.h"
#include "kernels/fields.h"
#include "kernels/tensor.h"

namespace mglmm {

struct LinearCrossEntropy {
  ConstTensor hidden;  // [..., dim]  f32 | bf16 | f16; [..., seq, dim] with shift
  Weight weight;       // [vocab, dim]  dtype of hidden, rows or packed
  ConstTensor labels;  // [...]  i32, below vocab or ignoreIndex
  int64_t ignoreIndex = -100;
  bool shift = false;  // position s is compared with the label of s + 1
  LossReduction reduction = LossReduction::mean;
  Tensor loss;    // []  f32; with `mean` and no label at all NaN (0 / 0), as PyTorch's
  Tensor count;   // []  i32, rows with a label
  Saved dhidden;  // [..., dim]  dtype of hidden: d loss / d hidden
  Saved dweight;  // [vocab, dim]  dtype of hidden: d loss / d weight; not of a packed weight
  MGLMM_OP(linearCrossEntropy, hidden, weight, labels, ignoreIndex, shift, reduction, loss, count, dhidden, dweight)
};

struct LinearCrossEntropyBackward {
  ConstTensor dloss;             // []  f32
  std::vector<InOut> gradients;  // f32 | bf16 | f16: what the forward made, times dloss
  MGLMM_OP(linearCrossEntropyBackward, dloss, gradients)
};

void check(LinearCrossEntropy& op);
void check(LinearCrossEntropyBackward& op);

}  // namespace mglmm
