// Runs come from files and strings, by way of the host, and have to be looked at before anything is made of them: they go
// back there, where the executor's thread waits for them. What comes over again is where each run ends. A thread finds the
// run of the first of its pixels by bisection and walks on from there.
#include "kernels/rle_decode.h"

#include <numeric>
#include <vector>

#include "cuda/number.cuh"
#include "cuda/reduce.cuh"
#include "kernels/pack_bits.h"
#include "kernels/run_starts.h"

namespace mglmm::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int64_t kRows = 16;  // of a thread

struct Sizes {
  int64_t height, width;
  int64_t columns;  // whole words of 64 pixels
  int64_t pieces;   // of kRows rows
};

// A thread some rows of a column, neighbours along a row. `ends` count pixels down the columns of a mask.
template <bool bits>
__global__ void __launch_bounds__(kThreads)
    decode_kernel(Sizes s, int64_t count, const int64_t* starts, const int32_t* ends, uint8_t* masks) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= count) return;  // a whole warp: columns are a multiple of 64
  const int64_t column = i % s.columns;
  const int64_t first = i / s.columns % s.pieces * kRows;
  const int64_t mask = i / s.columns / s.pieces;
  const int64_t begin = starts[mask];
  const int64_t position = column * s.height + first;
  int64_t run = begin;  // the first that ends behind the position
  for (int64_t beyond = starts[mask + 1]; run < beyond;) {
    const int64_t middle = (run + beyond) / 2;
    if (ends[middle] > position)
      beyond = middle;
    else
      run = middle + 1;
  }
  for (int64_t row = 0; row < kRows && first + row < s.height; ++row) {
    bool set = false;
    if (column < s.width) {
      while (ends[run] <= position + row) ++run;
      set = (run - begin) % 2 == 1;
    }
    const int64_t line = mask * s.height + first + row;
    if constexpr (bits) {
      const uint32_t word = __ballot_sync(kAllLanes, set ? 1 : 0);
      if (threadIdx.x % 32 == 0) reinterpret_cast<uint32_t*>(masks)[(line * s.columns + column) / 32] = word;
    } else {
      if (column < s.width) masks[line * s.width + column] = set ? 1 : 0;
    }
  }
}

template <typename T>
std::vector<T> on_host(const ConstTensor& tensor, CudaStream& stream) {
  std::vector<T> values(static_cast<size_t>(tensor.count()));
  stream.download(reinterpret_cast<std::byte*>(values.data()), tensor.raw(), tensor.bytes());
  return values;
}

}  // namespace

void run(const RleDecode& op, CudaStream& stream) {
  std::vector<int32_t> runs = on_host<int32_t>(op.runs, stream);
  const std::vector<int32_t> counts = on_host<int32_t>(op.counts, stream);
  const std::vector<int64_t> starts = run_starts(op, runs.data(), counts.data());
  if (op.masks.count() == 0) return;
  for (size_t mask = 0; mask < counts.size(); ++mask) {
    const auto first = runs.begin() + starts[mask];
    std::partial_sum(first, first + counts[mask], first);
  }
  const Sizes s{op.height, op.width, 8 * bit_row_bytes(op.width), blocks_for(op.height, kRows)};
  const int64_t count = op.counts.count() * s.pieces * s.columns;
  const Grid grid{.blocks = blocks_for(count, kThreads), .threads = kThreads};
  launch(stream, op.bits ? decode_kernel<true> : decode_kernel<false>, grid, s, count, stream.table(starts),
         stream.table(runs), op.masks.data<uint8_t>());
}

}  // namespace mglmm::cuda
