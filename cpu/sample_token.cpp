#include "kernels/sample_token.h"

#include <cmath>
#include <string>

#include "cpu/largest.h"
#include "cpu/parallel.h"
#include "kernels/error.h"
#include "kernels/philox.h"
#include "kernels/stream.h"

namespace mglmm::cpu {
namespace {

constexpr int64_t kBlock = 256;  // probabilities that are summed as one step of the cumulative sum

int64_t previous_length(const SampleToken& op, int64_t row) {
  const int64_t width = op.previous->shape[1];
  if (!op.previousLengths) return width;
  const int64_t length = op.previousLengths->data<int32_t>()[row];
  if (length >= 0 && length <= width) return length;
  throw Error(kArgumentError, "sampleToken: previousLengths[" + std::to_string(row) + "] is " + std::to_string(length) +
                                  ", expected from 0 to " + std::to_string(width));
}

// The row in f32, with penalty and bans applied.
template <typename T>
void fill_scores(const SampleToken& op, const T* logits, int64_t row, float* scores) {
  const int64_t vocab = op.logits.shape[1];
  by_lanes(0, vocab, [=](int64_t i, auto... lanes) { store(scores + i, load(logits + i, lanes...), lanes...); });
  if (op.previous) {
    const int64_t length = previous_length(op, row);
    const int32_t* ids = op.previous->data<int32_t>() + row * op.previous->shape[1];
    const auto penalty = static_cast<float>(op.repetitionPenalty);
    for (int64_t i = 0; i < length; ++i) {
      const int32_t id = ids[i];
      if (id < 0 || id >= vocab) {
        throw Error(kArgumentError, "sampleToken: previous[" + std::to_string(row) + ", " + std::to_string(i) + "] is " +
                                        std::to_string(id) + ", expected from 0 to below " + std::to_string(vocab));
      }
      const float logit = logits[id];  // not the score: a token that came twice is punished once
      scores[id] = logit > 0 ? logit / penalty : logit * penalty;
    }
  }
  if (op.bannedTokens) {
    const uint8_t* banned = op.bannedTokens->data<uint8_t>();
    for (int64_t i = 0; i < vocab; ++i) scores[i] = banned[i] ? -HUGE_VALF : scores[i];
  }
}

// scores become exp((score - largest) / temperature); returns their sum, added up by blocks in order.
double to_weights(float* scores, int64_t count, float largest, float inverse_temperature) {
  double total = 0;
  for (int64_t begin = 0; begin < count; begin += kBlock) {
    vfloat sums{};
    by_lanes(begin, std::min(begin + kBlock, count), [&](int64_t i, auto... lanes) {
      const vfloat weight = exp((load(scores + i, lanes...) - largest) * inverse_temperature);
      store(scores + i, weight, lanes...);
      if constexpr (sizeof...(lanes) == 0) {
        sums += weight;
      } else {
        for (int64_t lane = 0; lane < (lanes, ...); ++lane) sums[lane] += weight[lane];
      }
    });
    total += sum(sums);
  }
  return total;
}

// The first index at which the cumulative sum of weights passes `target`.
int32_t draw_from_all(const float* weights, int64_t count, double target) {
  double cumulative = 0;
  int32_t last = 0;
  for (int64_t begin = 0; begin < count; begin += kBlock) {
    const int64_t end = std::min(begin + kBlock, count);
    vfloat sums{};
    by_lanes(begin, end, [&](int64_t i, auto... lanes) { sums += load(weights + i, lanes...); });
    const double block = sum(sums);
    if (cumulative + block <= target && end < count) {
      cumulative += block;
      continue;
    }
    for (int64_t i = begin; i < end; ++i) {
      if (weights[i] == 0.0F) continue;
      last = static_cast<int32_t>(i);
      cumulative += weights[i];
      if (cumulative > target) return last;
    }
  }
  return last;
}

// Among `largest`, in order; weights beyond those whose sum reaches topP of `total` do not count.
int32_t draw_from_largest(const std::vector<Candidate>& largest, const float* weights, double top_p, double total,
                          double u) {
  size_t kept = 0;
  double sum = 0;
  while (kept < largest.size() && (kept == 0 || sum < top_p * total)) sum += weights[largest[kept++].index];
  const double target = u * sum;
  double cumulative = 0;
  int32_t last = largest.front().index;
  for (size_t i = 0; i < kept; ++i) {
    const int32_t index = largest[i].index;
    if (weights[index] == 0.0F) break;
    last = index;
    cumulative += weights[index];
    if (cumulative > target) break;
  }
  return last;
}

double sum_of(const std::vector<Candidate>& largest, const float* weights) {
  double sum = 0;
  for (const Candidate& candidate : largest) sum += weights[candidate.index];
  return sum;
}

int32_t sample(const SampleToken& op, int64_t row, float* scores, std::vector<Candidate>& largest) {
  const int64_t vocab = op.logits.shape[1];
  const int32_t best = index_of_largest(scores, vocab);
  const float highest = scores[best];
  if (!std::isfinite(highest)) {
    throw Error(kArgumentError, "sampleToken: the largest logit of row " + std::to_string(row) + " that is not banned is " +
                                    (std::isnan(highest) ? "NaN"
                                     : highest > 0       ? "Infinity"
                                                         : "-Infinity") +
                                    ", expected a finite one to draw");
  }
  if (op.temperature == 0 || op.topK == 1) return best;
  const auto offset = static_cast<uint64_t>(op.offset);
  const auto counter_row = static_cast<uint64_t>(row);
  const auto bits = philox({static_cast<uint32_t>(offset), static_cast<uint32_t>(offset >> 32),
                            static_cast<uint32_t>(counter_row), static_cast<uint32_t>(counter_row >> 32)},
                           static_cast<uint64_t>(op.seed));
  const double u = bits[0] * 0x1p-32;
  const bool all = op.topK == 0 || op.topK >= vocab;
  if (!all) find_largest(scores, vocab, op.topK, largest);
  const double total = to_weights(scores, vocab, highest, static_cast<float>(1 / op.temperature));
  if (!all) return draw_from_largest(largest, scores, op.topP, sum_of(largest, scores), u);
  if (op.topP == 1) return draw_from_all(scores, vocab, u * total);
  // Few tokens hold most of the probability, as a rule: look at more only until they hold topP of it.
  for (int64_t k = std::min<int64_t>(64, vocab);; k = std::min(k * 8, vocab)) {
    find_largest(scores, vocab, k, largest);
    if (k == vocab || sum_of(largest, scores) >= op.topP * total) break;
  }
  return draw_from_largest(largest, scores, op.topP, total, u);
}

}  // namespace

void run(const SampleToken& op, Stream& stream) {
  if (!op.ids) return;
  const int64_t vocab = op.logits.shape[1];
  int32_t* ids = op.ids.data<int32_t>();
  float* scores = stream.scratch_of<float>(thread_count() * vocab);
  by_dtype(op.logits.dtype, [&]<typename T>(Type<T>) {
    const T* logits = op.logits.data<T>();
    parallel_ranges(op.logits.shape[0], 1, [=, &op](int64_t begin, int64_t end) {
      std::vector<Candidate> largest;
      float* own = scores + thread_index() * vocab;
      for (int64_t row = begin; row < end; ++row) {
        fill_scores(op, logits + row * vocab, row, own);
        ids[row] = sample(op, row, own, largest);
      }
    });
  });
}

}  // namespace mglmm::cpu
