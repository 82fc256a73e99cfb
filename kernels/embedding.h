// y[i] = weight[ids[i]]: rows of a table by token id.
#pragma once
#include "kernels/fields.h"
#include "kernels/tensor.h"

namespace mglmm {

struct Embedding {
  ConstTensor weight;  // [vocab, dim]  any dtype
  ConstTensor ids;     // [...]  i32, 0 to vocab - 1 (else an ArgumentError when the op runs)
  Tensor y;            // [..., dim]  dtype of weight
  MGLMM_OP(embedding, weight, ids, y)
};

struct EmbeddingBackward {
  ConstTensor dy;      // [..., dim]  f32 | bf16 | f16
  ConstTensor weight;  // [vocab, dim]  for its shape
  ConstTensor ids;     // [...]
  Tensor dweight;      // [vocab, dim]  sums of dy over the places of an id, in their order, in f32; 0 for ids not met
  MGLMM_OP(embeddingBackward, dy, weight, ids, dweight)
};

void check(Embedding& op);
void check(EmbeddingBackward& op);

}  // namespace mglmm
