// The next token of each row of logits. In this order, as transformers' processors and warpers do:
//   penalty:     a logit of a token in `previous` is divided by repetitionPenalty when positive, else multiplied by it
//                (once, however often the token came). Keskar et al. 2019, arXiv 1909.05858
//   banned:      never drawn
//   temperature: probabilities are softmax(logits / temperature); at 0 the largest logit is taken, the first of equals
//   topK:        only the topK largest stay, of equals those of lower id
//   topP:        only the fewest largest stay whose probabilities sum to at least topP. Holtzman et al. 2020, arXiv
//   1904.09751 draw:        inverse of the cumulative sum at u, 32 random bits of Philox4x32-10 with key `seed` at counter
//                (offset, row): Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"
// So one call's ids depend on the fields alone, and another `offset` draws anew.
#pragma once
#include "kernels/fields.h"
#include "kernels/tensor.h"

namespace mglmm {

struct SampleToken {
  ConstTensor logits;           // [batch, vocab]  f32 | bf16 | f16, vocab at least 1
  MaybeTensor previous;         // [batch, n]  i32, below vocab
  MaybeTensor previousLengths;  // [batch]  i32, how many of each row of `previous` count; default n
  MaybeTensor bannedTokens;     // [vocab]  u8, not 0: banned
  double temperature = 1;       // 0, or from 1e-5 to 1e5
  int64_t topK = 0;             // 0: all
  double topP = 1;              // above 0, at most 1: all
  double repetitionPenalty = 1;
  int64_t seed = 0;
  int64_t offset = 0;
  Tensor ids;  // [batch]  i32
  MGLMM_OP(sampleToken, logits, previous, previousLengths, bannedTokens, temperature, topK, topP, repetitionPenalty, seed,
           offset, ids)
};

void check(SampleToken& op);

}  // namespace mglmm
