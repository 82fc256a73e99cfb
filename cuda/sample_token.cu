// A block a row. Which tokens stay, and which of them is drawn, are thresholds in the order of the contract (larger first,
// of equals those of lower id). A threshold is found bit by bit, each by a sum over the row: no row is sorted.
#include "kernels/sample_token.h"

#include <algorithm>
#include <string>

#include "cuda/largest.cuh"
#include "cuda/row.cuh"
#include "kernels/philox.h"

namespace mglmm::cuda {
namespace {

constexpr int kThreads = 512;

struct Previous {
  const int32_t* ids;      // [batch, width], or null
  const int32_t* lengths;  // [batch], or null
  int64_t batch, width, vocab;
  __device__ int64_t length(int64_t row) const {
    const int64_t given = lengths == nullptr ? width : lengths[row];
    return given < 0 ? 0 : given < width ? given : width;
  }
  __device__ bool counts(int64_t i) const { return i % width < length(i / width); }
};

__global__ void __launch_bounds__(kThreads) check_previous_kernel(Previous previous, Refusal* length, Refusal* id) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i < previous.batch && previous.lengths != nullptr &&
      (previous.lengths[i] < 0 || previous.lengths[i] > previous.width)) {
    atomicMin(length, static_cast<Refusal>(i) << 32 | static_cast<uint32_t>(previous.lengths[i]));
  }
  if (i >= previous.batch * previous.width || !previous.counts(i)) return;
  if (previous.ids[i] < 0 || previous.ids[i] >= previous.vocab) {
    atomicMin(id, static_cast<Refusal>(i) << 32 | static_cast<uint32_t>(previous.ids[i]));
  }
}

template <typename T>
__global__ void __launch_bounds__(kThreads)
    score_kernel(int64_t count, int64_t vocab, const T* logits, const uint8_t* banned, float* scores) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i < count) scores[i] = banned != nullptr && banned[i % vocab] != 0 ? Larger::kNone : to_float(logits[i]);
}

// From the logit, not the score: a token that came twice is punished once.
template <typename T>
__global__ void __launch_bounds__(kThreads)
    penalty_kernel(Previous previous, float penalty, const T* logits, const uint8_t* banned, float* scores) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= previous.batch * previous.width || !previous.counts(i)) return;
  const int32_t id = previous.ids[i];
  if (id < 0 || id >= previous.vocab || (banned != nullptr && banned[id] != 0)) return;
  const int64_t at = i / previous.width * previous.vocab + id;
  const float logit = to_float(logits[at]);
  scores[at] = logit > 0 ? logit / penalty : logit * penalty;
}

struct Totals {
  double threads[kThreads];
  double warps[kThreads / 32];
};

struct Row {
  const float* scores;
  int64_t vocab;
  int id_bits;  // that an id takes
  float highest, inverse_temperature;

  // Larger for what comes earlier; no two tokens of a row have the same.
  __device__ uint64_t rank(int64_t id) const {
    const uint64_t key = static_cast<uint32_t>(sort_key(scores[id])) ^ 0x80000000U;
    return key << id_bits | (last_id() - static_cast<uint64_t>(id));
  }
  __device__ uint64_t last_id() const { return (uint64_t{1} << id_bits) - 1; }
  __device__ int32_t id_of(uint64_t of) const { return static_cast<int32_t>(last_id() - (of & last_id())); }

  __device__ float weight(int64_t id) const { return expf((scores[id] - highest) * inverse_temperature); }

  // Of the first `count` tokens those of at least this rank, in every thread: how many they are, or what they weigh. Each
  // lane adds up its whole warp: one meeting instead of five.
  __device__ double total(uint64_t least, bool weighed, int64_t count) const {
    auto& totals = shared<Totals>();
    double sum = 0;
    for (int64_t id = threadIdx.x; id < count; id += blockDim.x) {
      if (rank(id) >= least) sum += weighed ? static_cast<double>(weight(id)) : 1.0;
    }
    const unsigned warp = threadIdx.x / 32;
    totals.threads[threadIdx.x] = sum;
    __syncwarp();
    sum = 0;
    for (unsigned lane = 0; lane < 32; ++lane) sum += totals.threads[warp * 32 + lane];
    __syncwarp();  // the next total writes there
    if (blockDim.x == 32) return sum;
    __syncthreads();
    if (threadIdx.x % 32 == 0) totals.warps[warp] = sum;
    __syncthreads();
    sum = 0;
    for (unsigned other = 0; other < blockDim.x / 32; ++other) sum += totals.warps[other];
    return sum;
  }

  // The highest rank, not below `least`, whose tokens and all before them come to at least `wanted`, or above it.
  __device__ uint64_t reach(double wanted, bool above, bool weighed, uint64_t least) const {
    uint64_t found = 0;
    for (int bit = 31 + id_bits; bit >= 0; --bit) {
      const uint64_t trial = found | uint64_t{1} << bit;
      const double sum = total(trial, weighed, vocab);
      if (above ? sum > wanted : sum >= wanted) found = trial;
    }
    return found > least ? found : least;
  }
};

struct Choice {
  float temperature;
  int64_t top_k;  // 0: all
  double top_p;
  uint64_t seed, offset;
};

__global__ void __launch_bounds__(kThreads)
    draw_kernel(int64_t vocab, const float* scores, Choice choice, Refusal* refused, int32_t* ids) {
  const int64_t index = blockIdx.x;
  Row row{scores + index * vocab, vocab, 1, 0, 0};
  while (int64_t{1} << row.id_bits < vocab) ++row.id_bits;
  Candidate best = no_candidate();
  each_packet<1>(vocab, [&](int64_t i) {
    const Candidate candidate{sort_key(row.scores[i]), static_cast<int32_t>(i)};
    if (candidate.before(best)) best = candidate;
  });
  best = first_of_block(best);
  row.highest = row.scores[best.index];
  const bool finite = fabsf(row.highest) < -Larger::kNone;
  if (!finite && threadIdx.x == 0) {
    const uint32_t what = row.highest != row.highest ? 0 : row.highest > 0 ? 1 : 2;
    atomicMin(refused, static_cast<Refusal>(index) << 32 | what);
  }
  if (!finite || choice.temperature == 0.0F || choice.top_k == 1) {
    if (threadIdx.x == 0) ids[index] = best.index;
    return;
  }
  row.inverse_temperature = 1.0F / choice.temperature;
  const auto at = static_cast<uint64_t>(index);
  const auto bits = philox({static_cast<uint32_t>(choice.offset), static_cast<uint32_t>(choice.offset >> 32),
                            static_cast<uint32_t>(at), static_cast<uint32_t>(at >> 32)},
                           choice.seed);
  const double u = bits[0] * 0x1p-32;
  const bool all = choice.top_k == 0 || choice.top_k >= vocab;
  if (all && choice.top_p == 1) {
    // In the order of ids, as their cumulative sum is.
    const double target = u * row.total(0, true, vocab);
    int64_t low = 0, high = vocab - 1;  // the first id up to which the weights come to more
    while (low < high) {
      const int64_t middle = (low + high) / 2;
      if (row.total(0, true, middle + 1) > target)
        high = middle;
      else
        low = middle + 1;
    }
    if (threadIdx.x == 0) ids[index] = static_cast<int32_t>(low);
    return;
  }
  uint64_t least = all ? 0 : row.reach(static_cast<double>(choice.top_k), false, false, 0);
  if (choice.top_p < 1) least = row.reach(choice.top_p * row.total(least, true, vocab), false, true, least);
  const uint64_t drawn = row.reach(u * row.total(least, true, vocab), true, true, least);
  if (threadIdx.x == 0) ids[index] = row.id_of(drawn);
}

void doubt_previous(CudaStream& stream, const Previous& previous) {
  Refusal* length = stream.question();
  Refusal* id = stream.question();
  const int64_t count = std::max(previous.batch, previous.batch * previous.width);
  launch(stream, check_previous_kernel, {.blocks = blocks_for(count, kThreads), .threads = kThreads}, previous, length, id);
  stream.doubt(length, [width = previous.width](int64_t row, int32_t got) {
    return Error(kArgumentError, "sampleToken: previousLengths[" + std::to_string(row) + "] is " + std::to_string(got) +
                                     ", expected from 0 to " + std::to_string(width));
  });
  stream.doubt(id, [width = previous.width, vocab = previous.vocab](int64_t place, int32_t got) {
    return Error(kArgumentError, "sampleToken: previous[" + std::to_string(place / width) + ", " +
                                     std::to_string(place % width) + "] is " + std::to_string(got) +
                                     ", expected from 0 to below " + std::to_string(vocab));
  });
}

}  // namespace

void run(const SampleToken& op, CudaStream& stream) {
  if (!op.ids || op.ids.count() == 0) return;
  const int64_t batch = op.logits.shape[0];
  const int64_t vocab = op.logits.shape[1];
  const uint8_t* banned = op.bannedTokens ? op.bannedTokens->data<uint8_t>() : nullptr;
  const Previous previous{op.previous ? op.previous->data<int32_t>() : nullptr,
                          op.previousLengths ? op.previousLengths->data<int32_t>() : nullptr, batch,
                          op.previous ? op.previous->shape[1] : 0, vocab};
  float* scores = stream.scratch_of<float>(batch * vocab);
  if (op.previous) doubt_previous(stream, previous);
  by_dtype(op.logits.dtype, [&]<typename T>(Type<T>) {
    const T* logits = op.logits.data<T>();
    launch(stream, score_kernel<T>, {.blocks = blocks_for(batch * vocab, kThreads), .threads = kThreads}, batch * vocab,
           vocab, logits, banned, scores);
    launch(stream, penalty_kernel<T>, {.blocks = blocks_for(previous.batch * previous.width, kThreads), .threads = kThreads},
           previous, static_cast<float>(op.repetitionPenalty), logits, banned, scores);
  });
  Refusal* refused = stream.question();
  launch(stream, draw_kernel, {.blocks = batch, .threads = threads_for_row(vocab)}, vocab, scores,
         Choice{static_cast<float>(op.temperature), op.topK, op.topP, static_cast<uint64_t>(op.seed),
                static_cast<uint64_t>(op.offset)},
         refused, op.ids.data<int32_t>());
  stream.doubt(refused, [](int64_t row, int32_t what) {
    constexpr const char* names[] = {"NaN", "Infinity", "-Infinity"};
    return Error(kArgumentError, "sampleToken: the largest logit of row " + std::to_string(row) + " that is not banned is " +
                                     names[what] + ", expected a finite one to draw");
  });
}

}  // namespace mglmm::cuda
