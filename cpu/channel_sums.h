// What is done a channel of a dense [batch, channels, pixels]: the gradient of a bias.
#pragma once
#include "cpu/parallel.h"
#include "cpu/simd.h"

namespace mglmm::cpu {

// sums[c] = sum over batch and pixels of values[batch, c, pixels]: lanes within a plane, planes in order.
template <typename T>
void sum_channels(const T* values, int64_t batch, int64_t channels, int64_t pixels, T* sums) {
  const int64_t grain = kElementGrain / std::max<int64_t>(batch * pixels, 1) + 1;
  parallel_ranges(channels, grain, [=](int64_t begin, int64_t end) {
    for (int64_t channel = begin; channel < end; ++channel) {
      constexpr int64_t kChunk = 4096;  // elements summed in f32 lanes before a double takes over
      double total = 0;
      for (int64_t n = 0; n < batch; ++n) {
        const T* plane = values + (n * channels + channel) * pixels;
        for (int64_t first = 0; first < pixels; first += kChunk) {
          vfloat partial = splat(0);
          by_lanes(first, std::min(first + kChunk, pixels),
                   [&](int64_t i, auto... lanes) { partial += load(plane + i, lanes...); });
          total += sum(partial);
        }
      }
      sums[channel] = T(static_cast<float>(total));
    }
  });
}

}  // namespace mglmm::cpu
