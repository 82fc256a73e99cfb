// A warp 32 pixels of a row, whose answers are a word, of several masks: between which logits they lie is the same for all.
// Each pixel interpolates between four of the network's input, and each of those between four logits: neighbours read the
// same ones, which are in the cache.
#include "kernels/mask_bits.h"

#include "cuda/interpolate.cuh"
#include "cuda/reduce.cuh"

namespace mglmm::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int64_t kMasks = 8;  // of a thread

struct Sizes {
  int64_t masks, height, width, words;   // of the picture, the last of 32 pixels a row
  Resize input_rows, input_columns;      // from logits to the input
  Resize picture_rows, picture_columns;  // from the input's part that is picture to the picture
};

template <typename T>
__global__ void __launch_bounds__(kThreads) mask_bits_kernel(Sizes s, const T* logits, double threshold, uint32_t* bits) {
  const int64_t word = (static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x) / 32;
  if (word >= s.height * s.words) return;
  const int64_t column = word % s.words * 32 + threadIdx.x % 32;
  const bool is_inside = column < s.width;
  const Between down = s.picture_rows.at(word / s.words);
  const Between across = s.picture_columns.at(is_inside ? column : s.width - 1);
  const Between rows[2] = {s.input_rows.at(down.low), s.input_rows.at(down.high)};
  const Between columns[2] = {s.input_columns.at(across.low), s.input_columns.at(across.high)};
  const int64_t first = blockIdx.y * kMasks;
  const int64_t end = first + kMasks < s.masks ? first + kMasks : s.masks;
  for (int64_t mask = first; mask < end; ++mask) {
    const T* own = logits + mask * s.input_rows.in * s.input_columns.in;
    const auto logit = [&](int64_t y, int64_t x) { return to_float(own[y * s.input_columns.in + x]); };
    const auto input = [&](int64_t y, int64_t x) { return interpolate(rows[y], columns[x], logit); };
    const float value = interpolate({0, 1, down.weight}, {0, 1, across.weight}, input);
    const bool is_above = static_cast<double>(value) > threshold;
    const uint32_t answers = __ballot_sync(kAllLanes, is_inside && is_above ? 1 : 0);
    if (threadIdx.x % 32 == 0) bits[mask * s.height * s.words + word] = answers;
  }
}

}  // namespace

void run(const MaskBits& op, CudaStream& stream) {
  const int64_t row_words = op.bits.shape[-1] / 4;
  if (op.bits.count() == 0) return;
  const Sizes s{op.bits.count() / 4 / (op.height * row_words),
                op.height,
                op.width,
                row_words,
                {op.logits.shape[-2], op.inputSize},
                {op.logits.shape[-1], op.inputSize},
                {op.resizedHeight, op.height},
                {op.resizedWidth, op.width}};
  by_dtype(op.logits.dtype, [&]<typename T>(Type<T>) {
    const Grid grid{
        .blocks = blocks_for(s.height * s.words * 32, kThreads), .threads = kThreads, .y = blocks_for(s.masks, kMasks)};
    launch(stream, mask_bits_kernel<T>, grid, s, op.logits.data<T>(), op.threshold, op.bits.data<uint32_t>());
  });
}

}  // namespace mglmm::cuda
