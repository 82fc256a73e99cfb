// A warp 32 pixels of a row, whose answers are a word. Each pixel interpolates between four of the network's input, and each
// of those between four logits: neighbours read the same ones, which are in the cache.
#include "kernels/mask_bits.h"

#include "cuda/interpolate.cuh"
#include "cuda/reduce.cuh"

namespace mglmm::cuda {
namespace {

constexpr int kThreads = 256;

struct Sizes {
  int64_t height, width, words;          // of the picture, the last of 32 pixels a row
  Resize input_rows, input_columns;      // from logits to the input
  Resize picture_rows, picture_columns;  // from the input's part that is picture to the picture
};

template <typename T>
__global__ void __launch_bounds__(kThreads)
    mask_bits_kernel(Sizes s, int64_t count, const T* logits, double threshold, uint32_t* bits) {
  const int64_t word = (static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x) / 32;
  if (word >= count) return;
  const int64_t column = word % s.words * 32 + threadIdx.x % 32;
  const int64_t row = word / s.words % s.height;
  const T* mask = logits + word / s.words / s.height * s.input_rows.in * s.input_columns.in;
  bool above = false;
  if (column < s.width) {
    const auto logit = [&](int64_t y, int64_t x) { return to_float(mask[y * s.input_columns.in + x]); };
    const auto input = [&](int64_t y, int64_t x) { return interpolate(s.input_rows.at(y), s.input_columns.at(x), logit); };
    above = static_cast<double>(interpolate(s.picture_rows.at(row), s.picture_columns.at(column), input)) > threshold;
  }
  const uint32_t answers = __ballot_sync(kAllLanes, above ? 1 : 0);
  if (threadIdx.x % 32 == 0) bits[word] = answers;
}

}  // namespace

void run(const MaskBits& op, CudaStream& stream) {
  const int64_t count = op.bits.count() / 4;
  if (count == 0) return;
  const Sizes s{op.height,
                op.width,
                op.bits.shape[-1] / 4,
                {op.logits.shape[-2], op.inputSize},
                {op.logits.shape[-1], op.inputSize},
                {op.resizedHeight, op.height},
                {op.resizedWidth, op.width}};
  by_dtype(op.logits.dtype, [&]<typename T>(Type<T>) {
    launch(stream, mask_bits_kernel<T>, {.blocks = blocks_for(count * 32, kThreads), .threads = kThreads}, s, count,
           op.logits.data<T>(), op.threshold, op.bits.data<uint32_t>());
  });
}

}  // namespace mglmm::cuda
