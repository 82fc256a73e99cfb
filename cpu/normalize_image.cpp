#include "kernels/normalize_image.h"

#include <algorithm>

#include "cpu/parallel.h"
#include "kernels/stream.h"

namespace mglmm::cpu {

void run(const NormalizeImage& op, Stream& stream) {
  if (op.y.count() == 0) return;
  const int64_t channels = op.image.shape[2];
  const int64_t in_width = op.image.shape[1];
  const int64_t rows = std::min(op.height, op.image.shape[0] - op.top);
  const int64_t columns = std::min(op.width, in_width - op.left);
  const auto* image = op.image.data<uint8_t>();
  by_dtype(op.dtype, [&]<typename T>(Type<T>) {
    // A channel's 256 results, once: there is nothing else to compute.
    T* results = stream.scratch_of<T>(256 * channels);
    for (int64_t i = 0; i < 256 * channels; ++i) {
      const auto channel = static_cast<size_t>(i / 256);
      results[i] = T(static_cast<float>((static_cast<double>(i % 256) * op.rescale - op.mean[channel]) / op.std[channel]));
    }
    T* y = op.y.data<T>();
    parallel_ranges(channels * op.height, kElementGrain / op.width + 1, [&](int64_t begin, int64_t end) {
      for (int64_t line = begin; line < end; ++line) {
        const int64_t channel = line / op.height;
        const int64_t row = line % op.height;
        const int64_t present = row < rows ? columns : 0;
        const uint8_t* pixels = image + ((op.top + row) * in_width + op.left) * channels + channel;
        T* to = y + line * op.width;
        for (int64_t i = 0; i < present; ++i) to[i] = results[256 * channel + pixels[i * channels]];
        std::fill(to + present, to + op.width, T(0.0F));
      }
    });
  });
}

}  // namespace mglmm::cpu
