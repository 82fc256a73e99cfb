// Places offset ... offset + count of a seed's random words, four to a thread as a counter of Philox gives them.
#pragma once
#include "cuda/number.cuh"
#include "kernels/philox.h"

namespace mglmm::cuda {
namespace {

constexpr int kWordThreads = 256;

// Formula: float operator()(const std::array<uint32_t, 4>& words, int place, float x) const; words[place] is the number's
// own, x what is at its place in `x`, unless that is null. packed: a counter's four are a packet.
template <typename T, typename Formula>
__global__ void __launch_bounds__(kWordThreads)
    random_words_kernel(uint64_t seed, int64_t offset, int64_t count, bool packed, const T* x, T* y, Formula formula) {
  const int64_t counter = offset / 4 + static_cast<int64_t>(blockIdx.x) * kWordThreads + threadIdx.x;
  const int64_t first = counter * 4 - offset;
  if (first >= count) return;
  const bool whole = packed && first + 4 <= count;
  Packet<T, 4> numbers{};
  if (x != nullptr && whole) numbers = load_packet<4>(x + first);
  const auto low = static_cast<uint64_t>(counter);
  const std::array<uint32_t, 4> words = philox({static_cast<uint32_t>(low), static_cast<uint32_t>(low >> 32), 0, 0}, seed);
  if (whole) {
#pragma unroll
    for (int place = 0; place < 4; ++place)
      put(numbers.values[place], formula(words, place, to_float(numbers.values[place])));
    store_packet(y + first, numbers);
    return;
  }
  for (int place = 0; place < 4; ++place) {
    const int64_t i = first + place;
    if (i >= 0 && i < count) put(y[i], formula(words, place, x == nullptr ? 0.0F : to_float(x[i])));
  }
}

}  // namespace

// @param x - what the formula reads, or null.
template <typename T, typename Formula>
void by_random_words(CudaStream& stream, int64_t seed, int64_t offset, int64_t count, const T* x, T* y, Formula formula) {
  const int64_t counters = count == 0 ? 0 : (offset + count - 1) / 4 - offset / 4 + 1;
  launch(stream, random_words_kernel<T, Formula>, {.blocks = blocks_for(counters, kWordThreads), .threads = kWordThreads},
         static_cast<uint64_t>(seed), offset, count, offset % 4 == 0 && aligned(x, y), x, y, formula);
}

}  // namespace mglmm::cuda
