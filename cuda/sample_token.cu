// A block a row. Which tokens stay, and which of them is drawn, are thresholds in the order of the contract (larger first,
// of equals those of lower id). A threshold is found from its highest digit to its lowest, each by sums over what shares the
// digits so far, one a value of the next: no row is sorted. Sums are whole numbers, so their order does not matter.
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

// `width` scores a row, those beyond the vocabulary of nothing that could be drawn, so that rows begin at 16 bytes.
template <typename T>
__global__ void __launch_bounds__(kThreads)
    score_kernel(int64_t count, int64_t vocab, int64_t width, const T* logits, const uint8_t* banned, float* scores) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= count) return;
  const int64_t id = i % width;
  const bool out = id >= vocab || (banned != nullptr && banned[id] != 0);
  scores[i] = out ? Larger::kNone : to_float(logits[i / width * vocab + id]);
}

// From the logit, not the score: a token that came twice is punished once.
template <typename T>
__global__ void __launch_bounds__(kThreads)
    penalty_kernel(Previous previous, float penalty, int64_t width, const T* logits, const uint8_t* banned, float* scores) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= previous.batch * previous.width || !previous.counts(i)) return;
  const int32_t id = previous.ids[i];
  if (id < 0 || id >= previous.vocab || (banned != nullptr && banned[id] != 0)) return;
  const int64_t row = i / previous.width;
  const float logit = to_float(logits[row * previous.vocab + id]);
  scores[row * width + id] = logit > 0 ? logit / penalty : logit * penalty;
}

using Sum = unsigned long long;

constexpr int kThreadDigits = 4;  // values of a digit that a thread adds up

// A sum for each value of a digit, as two words: what shared memory adds by itself.
struct Digits {
  uint32_t lows[kThreads * kThreadDigits];
  uint32_t highs[kThreads * kThreadDigits];
  int found;
  Sum before, of_found;

  __device__ Sum sum(int digit) const { return static_cast<Sum>(highs[digit]) << 32 | lows[digit]; }
  __device__ void add(uint64_t digit, Sum value) {
    const auto low = static_cast<uint32_t>(value);
    const uint32_t carry = atomicAdd(&lows[digit], low) > UINT32_MAX - low ? 1 : 0;
    const uint32_t high = static_cast<uint32_t>(value >> 32) + carry;
    if (high > 0) atomicAdd(&highs[digit], high);
  }
};
struct Scanned {
  Sum threads[kThreads];
  Sum warps[kThreads / 32];
};
struct Scan {
  Sum before, all;
};

// What the threads before this one hold, and what all do. All threads of the block come here, and meet before the next scan.
__device__ Scan scan_block(Sum own) {
  auto& scanned = shared<Scanned>();
  const unsigned warp = threadIdx.x / 32;
  scanned.threads[threadIdx.x] = own;
  __syncwarp();
  Scan scan{0, 0};
  for (unsigned other = warp * 32; other < (warp + 1) * 32; ++other) {
    scan.before += other < threadIdx.x ? scanned.threads[other] : 0;
    scan.all += scanned.threads[other];
  }
  if (blockDim.x == 32) return scan;
  scanned.warps[warp] = scan.all;
  __syncthreads();
  scan.all = 0;
  for (unsigned other = 0; other < blockDim.x / 32; ++other) {
    scan.before += other < warp ? scanned.warps[other] : 0;
    scan.all += scanned.warps[other];
  }
  return scan;
}

struct Row {
  const float* scores;
  int64_t width;   // a multiple of 4
  int id_bits;     // that an id takes
  int digit_bits;  // of which the threads of the block add up all values
  float highest, inverse_temperature;

  template <typename Body>
  __device__ void each(Body&& body) const {  // (id, score)
    each_packet<4>(width, [&](int64_t id) {
      const auto loaded = load_packet<4>(scores + id);
      for (int k = 0; k < 4; ++k) body(id + k, loaded.values[k]);
    });
  }
  // Larger for what comes earlier; no two tokens of a row have the same.
  __device__ uint64_t rank(int64_t id, float score) const {
    const uint64_t key = static_cast<uint32_t>(sort_key(score)) ^ 0x80000000U;
    return key << id_bits | rank_of_id(id);
  }
  __device__ uint64_t last_id() const { return (uint64_t{1} << id_bits) - 1; }
  __device__ uint64_t rank_of_id(int64_t id) const { return last_id() - static_cast<uint64_t>(id); }
  __device__ int32_t id_of(uint64_t of) const { return static_cast<int32_t>(last_id() - (of & last_id())); }

  // exp((score - highest) / temperature) in steps of which all tokens together have at most 2^62.
  __device__ Sum weight(float score) const {
    return static_cast<Sum>(expf((score - highest) * inverse_temperature) * static_cast<float>(Sum{1} << (62 - id_bits)));
  }
};

struct Found {
  uint64_t rank;
  Sum through;  // of it and all that comes before
};

// The first token with which the values of it and all before it come to more than `target`, which is below those of all.
// Rank: uint64_t operator()(int64_t id, float score) const, of `bits` bits. Value: Sum operator()(float score) const.
template <typename Rank, typename Value>
__device__ Found first_beyond(const Row& row, Sum target, int bits, Rank rank, Value value) {
  auto& digits = shared<Digits>();
  const int largest = static_cast<int>(blockDim.x - threadIdx.x) * kThreadDigits - 1;  // of the digits of this thread
  const auto clear = [&] {
    for (int i = 0; i < kThreadDigits; ++i) digits.lows[largest - i] = digits.highs[largest - i] = 0;
  };
  clear();
  __syncthreads();
  Found found{0, 0};
  Sum before = 0;
  for (int shift = bits; shift > 0;) {
    const int width = shift < row.digit_bits ? shift : row.digit_bits;
    const int next = shift - width;
    row.each([&](int64_t id, float score) {
      const uint64_t at = rank(id, score);
      if (at >> shift != found.rank) return;
      const Sum of = value(score);
      if (of > 0) digits.add((at >> next) % (uint64_t{1} << width), of);
    });
    __syncthreads();
    Sum own = 0;
    for (int i = 0; i < kThreadDigits; ++i) own += digits.sum(largest - i);
    Sum sum = before + scan_block(own).before;
    if (sum <= target && target < sum + own) {  // in one thread
      int digit = largest;
      for (; sum + digits.sum(digit) <= target; --digit) sum += digits.sum(digit);
      digits.found = digit;
      digits.before = sum;
      digits.of_found = digits.sum(digit);
    }
    clear();
    __syncthreads();
    before = digits.before;
    found = {found.rank << width | static_cast<uint64_t>(digits.found), before + digits.of_found};
    shift = next;
  }
  return found;
}

struct Choice {
  float temperature;
  int64_t top_k;  // 0: all
  double top_p;
  uint64_t seed, offset;
};

__global__ void __launch_bounds__(kThreads)
    draw_kernel(int64_t width, int digit_bits, const float* scores, Choice choice, Refusal* refused, int32_t* ids) {
  const int64_t index = blockIdx.x;
  Row row{scores + index * width, width, 1, digit_bits, 0, 0};
  while (int64_t{1} << row.id_bits < width) ++row.id_bits;
  Candidate best = no_candidate();
  row.each([&](int64_t id, float score) {
    const Candidate candidate{sort_key(score), static_cast<int32_t>(id)};
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
  const auto words = philox({static_cast<uint32_t>(choice.offset), static_cast<uint32_t>(choice.offset >> 32),
                             static_cast<uint32_t>(at), static_cast<uint32_t>(at >> 32)},
                            choice.seed);
  const int bits = 32 + row.id_bits;
  const auto rank = [&](int64_t id, float score) { return row.rank(id, score); };
  const auto weight = [&](float score) { return row.weight(score); };
  const uint64_t least =
      choice.top_k == 0 ? 0 : first_beyond(row, choice.top_k - 1, bits, rank, [](float) { return Sum{1}; }).rank;
  Sum kept = 0;
  row.each([&](int64_t id, float score) { kept += rank(id, score) >= least ? weight(score) : 0; });
  kept = scan_block(kept).all;
  if (choice.top_p < 1) {
    const auto wanted = static_cast<Sum>(ceil(choice.top_p * static_cast<double>(kept)));  // at least 1
    kept = first_beyond(row, wanted - 1, bits, rank, weight).through;
  }
  const Sum target = (kept >> 32) * words[0] + ((kept & 0xffffffff) * words[0] >> 32);  // u kept, rounded down
  // All tokens pass in the order of their ids.
  const uint64_t drawn = choice.top_k == 0 && choice.top_p == 1
                             ? first_beyond(
                                   row, target, row.id_bits, [&](int64_t id, float) { return row.rank_of_id(id); }, weight)
                                   .rank
                             : first_beyond(row, target, bits, rank, weight).rank;
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
  const int64_t width = blocks_for(vocab, 4) * 4;
  float* scores = stream.scratch_of<float>(batch * width);
  if (op.previous) doubt_previous(stream, previous);
  by_dtype(op.logits.dtype, [&]<typename T>(Type<T>) {
    const T* logits = op.logits.data<T>();
    launch(stream, score_kernel<T>, {.blocks = blocks_for(batch * width, kThreads), .threads = kThreads}, batch * width,
           vocab, width, logits, banned, scores);
    launch(stream, penalty_kernel<T>, {.blocks = blocks_for(previous.batch * previous.width, kThreads), .threads = kThreads},
           previous, static_cast<float>(op.repetitionPenalty), width, logits, banned, scores);
  });
  Refusal* refused = stream.question();
  const int threads = threads_for_row(vocab);
  int digit_bits = 0;
  while (2 << digit_bits <= threads * kThreadDigits) ++digit_bits;
  launch(stream, draw_kernel, {.blocks = batch, .threads = threads}, width, digit_bits, scores,
         Choice{static_cast<float>(op.temperature), op.topK < vocab ? op.topK : 0, op.topP, static_cast<uint64_t>(op.seed),
                static_cast<uint64_t>(op.offset)},
         refused, op.ids.data<int32_t>());
  stream.doubt(refused, [](int64_t row, int32_t what) {
    constexpr const char* names[] = {"NaN", "Infinity", "-Infinity"};
    return Error(kArgumentError, "sampleToken: the largest logit of row " + std::to_string(row) + " that is not banned is " +
                                     names[what] + ", expected a finite one to draw");
  });
}

}  // namespace mglmm::cuda
