// Masks are first turned to words of 32 pixels of a column. Then a block a mask: each thread counts the changes in its share
// of the words, and finds where the last one is; a scan over the block says how many lie before each thread's, and where the
// run that is open there began; then the thread goes through its share once more and stores its runs.
#include "kernels/rle_encode.h"

#include "cuda/number.cuh"

namespace mglmm::cuda {
namespace {

constexpr int kThreads = 256;

struct Sizes {
  int64_t height, width, row_bytes;
  bool bits;
  int64_t column_words;  // of 32 pixels
  __device__ __host__ int64_t words() const { return width * column_words; }
};

// A thread a word, neighbours along a row; words[mask, column, word].
__global__ void __launch_bounds__(kThreads) columns_kernel(Sizes s, int64_t count, const uint8_t* masks, uint32_t* words) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= count) return;
  const int64_t column = i % s.width;
  const int64_t word = i / s.width % s.column_words;
  const int64_t mask = i / s.words();
  const uint8_t* from = masks + (mask * s.height + word * 32) * s.row_bytes + (s.bits ? column / 8 : column);
  const unsigned wanted = s.bits ? 1U << column % 8 : 0xff;
  const int64_t rows = s.height - word * 32 < 32 ? s.height - word * 32 : 32;
  uint32_t pixels = 0;
  for (int64_t row = 0; row < rows; ++row) {
    if ((from[row * s.row_bytes] & wanted) != 0) pixels |= 1U << row;
  }
  words[mask * s.words() + column * s.column_words + word] = pixels;
}

// Changes of some pixels: how many, and where the last is; 0 where there is none, which is where a mask's first run begins.
struct Changes {
  int count;
  int32_t last;
};
struct ChangesOfThreads {
  Changes values[kThreads];
};

// The changes of the threads before this one, and of all. All threads of the block come here.
struct Before {
  Changes before, all;
};
__device__ Before scan_block(Changes own) {
  auto& changes = shared<ChangesOfThreads>();
  const int thread = static_cast<int>(threadIdx.x);
  changes.values[thread] = own;
  __syncthreads();
  for (int distance = 1; distance < kThreads; distance *= 2) {
    Changes sum = changes.values[thread];
    if (thread >= distance) {
      const Changes& earlier = changes.values[thread - distance];
      sum = {earlier.count + sum.count, sum.count > 0 ? sum.last : earlier.last};
    }
    __syncthreads();
    changes.values[thread] = sum;
    __syncthreads();
  }
  return {thread == 0 ? Changes{} : changes.values[thread - 1], changes.values[kThreads - 1]};
}

__global__ void __launch_bounds__(kThreads)
    runs_kernel(Sizes s, const uint32_t* words, int64_t room, int32_t* runs, int32_t* counts) {
  words += blockIdx.x * s.words();
  runs += blockIdx.x * room;
  const int64_t share = (s.words() + kThreads - 1) / kThreads;
  const int64_t begin = threadIdx.x * share;
  const int64_t end = begin + share < s.words() ? begin + share : s.words();
  // Calls body(position) for each pixel that differs from the one before it.
  const auto each_change = [&](auto&& body) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t first = i % s.column_words * 32;
      uint32_t before = 0;  // the pixel before, which ends a column of `height` where this word begins one
      if (i > 0) before = words[i - 1] >> (first > 0 ? 31 : (s.height - 1) % 32) & 1U;
      uint32_t changes = words[i] ^ (words[i] << 1 | before);
      if (s.height - first < 32) changes &= (1U << (s.height - first)) - 1;
      for (; changes != 0; changes &= changes - 1)
        body(static_cast<int32_t>(i / s.column_words * s.height + first + __ffs(static_cast<int>(changes)) - 1));
    }
  };
  Changes own{};
  each_change([&](int32_t position) { own = {own.count + 1, position}; });
  const Before scanned = scan_block(own);
  const Changes all = scanned.all;
  Changes open = scanned.before;
  each_change([&](int32_t position) {
    if (open.count < room) runs[open.count] = position - open.last;
    open = {open.count + 1, position};
  });
  for (int64_t i = all.count + threadIdx.x; i < room; i += kThreads)
    runs[i] = i == all.count ? static_cast<int32_t>(s.height * s.width) - all.last : 0;
  if (threadIdx.x == 0 && counts != nullptr) counts[blockIdx.x] = all.count + 1;
}

}  // namespace

void run(const RleEncode& op, CudaStream& stream) {
  const int64_t masks = op.masks.shape[0];
  const int64_t height = op.masks.shape[1];
  const int64_t width = op.bitWidth > 0 ? op.bitWidth : op.masks.shape[2];
  const Sizes s{height, width, op.masks.shape[2], op.bitWidth > 0, blocks_for(height, 32)};
  auto* words = stream.scratch_of<uint32_t>(masks * s.words());
  launch(stream, columns_kernel, {.blocks = blocks_for(masks * s.words(), kThreads), .threads = kThreads}, s,
         masks * s.words(), op.masks.data<uint8_t>(), words);
  launch(stream, runs_kernel, {.blocks = masks, .threads = kThreads}, s, words, op.runs ? op.maxRuns : 0,
         op.runs ? op.runs.data<int32_t>() : nullptr, op.counts ? op.counts.data<int32_t>() : nullptr);
}

}  // namespace mglmm::cuda
