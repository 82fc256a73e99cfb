// loss = mean over rows with a label of (log sum exp(logits[row]) - logits[row, label]): the loss of a language model.
// `shift` compares position s with the label of s + 1, as LLaVA does, without a copy of the logits: the last position of
// each sequence has no label then.
#pragma once
#include <array>

#include "kernels/fields.h"
#include "kernels/tensor.h"

namespace mglmm {

enum class LossReduction : uint8_t { mean, sum };
constexpr std::array<const char*, 2> enum_names(LossReduction) { return {"mean", "sum"}; }

struct CrossEntropy {
  ConstTensor logits;  // [..., vocab]  f32 | bf16 | f16; [..., seq, vocab] with shift
  ConstTensor labels;  // [...]  i32, below vocab or ignoreIndex
  int64_t ignoreIndex = -100;
  bool shift = false;
  LossReduction reduction = LossReduction::mean;
  Tensor loss;      // []  f32; with `mean` and no label at all NaN (0 / 0), as PyTorch's
  Tensor count;     // []  i32, rows with a label
  Saved logsumexp;  // [...]  f32, 0 in rows without a label
  MGLMM_OP(crossEntropy, logits, labels, ignoreIndex, shift, reduction, loss, count, logsumexp)
};

struct CrossEntropyBackward {
  ConstTensor dloss;      // []  f32
  ConstTensor logits;     // [..., vocab]
  ConstTensor labels;     // [...]
  ConstTensor count;      // []
  ConstTensor logsumexp;  // [...]
  int64_t ignoreIndex = -100;
  bool shift = false;
  LossReduction reduction = LossReduction::mean;
  Tensor dlogits;  // [..., vocab]  (softmax(logits) - onehot(label)) * dloss (/ count with mean), 0 in rows without a label
  MGLMM_OP(crossEntropyBackward, dloss, logits, labels, count, logsumexp, ignoreIndex, shift, reduction, dlogits)
};

void check(CrossEntropy& op);
void check(CrossEntropyBackward& op);

}  // namespace mglmm
