#include "kernels/sample_token.h"

#include <limits>

#include "kernels/check.h"

namespace mglmm {

void check(SampleToken& op) {
  const Check check(op);
  check.floating("logits", op.logits);
  check.rank("logits", op.logits, 2, "[batch, vocab]");
  const int64_t batch = op.logits.shape[0];
  const int64_t vocab = op.logits.shape[1];
  check.require(vocab >= 1 && vocab <= std::numeric_limits<int32_t>::max(), "the last size of logits", std::to_string(vocab),
                "from 1 to 2147483647");
  if (op.previous) {
    check.dtype("previous", *op.previous, Dtype::i32);
    check.rank("previous", *op.previous, 2, "[batch, n]");
    check.size("previous", *op.previous, 0, batch, "the batch of logits");
  }
  if (op.previousLengths) {
    check.require(op.previous.has_value(), "previousLengths", "given", "previous beside it");
    check.dtype("previousLengths", *op.previousLengths, Dtype::i32);
    check.shape("previousLengths", *op.previousLengths, {batch}, "the batch of logits");
  }
  if (op.bannedTokens) {
    check.dtype("bannedTokens", *op.bannedTokens, Dtype::u8);
    check.shape("bannedTokens", *op.bannedTokens, {vocab}, "the vocab of logits");
  }
  check.require(op.temperature == 0 || (op.temperature >= 1e-5 && op.temperature <= 1e5), "temperature",
                std::to_string(op.temperature), "0, or from 1e-5 to 1e5");
  check.require(op.topK >= 0, "topK", std::to_string(op.topK), "at least 0, which keeps all");
  check.require(op.topP > 0 && op.topP <= 1, "topP", std::to_string(op.topP), "above 0 and at most 1");
  check.positive("repetitionPenalty", op.repetitionPenalty);
  check.require(op.seed >= 0, "seed", std::to_string(op.seed), "at least 0");
  check.require(op.offset >= 0, "offset", std::to_string(op.offset), "at least 0");
  check.output("ids", op.ids, {batch}, Dtype::i32, "the batch of logits");
}

}  // namespace mglmm
