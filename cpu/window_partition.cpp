#include "kernels/window_partition.h"

#include <cstring>

#include "cpu/parallel.h"
#include "kernels/stream.h"

namespace mglmm::cpu {

// A row of a window is one contiguous piece of a row of the map.
void run(const WindowPartition& op, Stream&) {
  const int64_t height = op.x.shape[1], width = op.x.shape[2], window = op.window;
  const int64_t token = op.x.shape[3] * size_of(op.x.dtype);
  if (op.y.bytes() == 0) return;
  const int64_t down = (height - 1) / window + 1, across = (width - 1) / window + 1;
  parallel_ranges(op.y.shape[0] * window, std::max<int64_t>(1, 4 * kElementGrain / (window * token)),
                  [&](int64_t begin, int64_t end) {
                    for (int64_t line = begin; line < end; ++line) {
                      const int64_t index = line / window;
                      const int64_t row = index / across % down * window + line % window;
                      const int64_t column = index % across * window;
                      const int64_t kept = row < height ? std::min(window, width - column) : 0;
                      std::byte* to = op.y.raw() + line * window * token;
                      const int64_t from = ((index / (across * down) * height + row) * width + column) * token;
                      if (kept > 0) std::memcpy(to, op.x.raw() + from, static_cast<size_t>(kept * token));
                      for (int64_t i = kept; i < window; ++i) {
                        if (op.padding)
                          std::memcpy(to + i * token, op.padding->raw(), static_cast<size_t>(token));
                        else
                          std::memset(to + i * token, 0, static_cast<size_t>(token));
                      }
                    }
                  });
}

void run(const WindowUnpartition& op, Stream&) {
  const int64_t height = op.height, width = op.width, window = op.x.shape[1];
  const int64_t token = op.x.shape[3] * size_of(op.x.dtype);
  if (op.y.bytes() == 0) return;
  const int64_t down = (height - 1) / window + 1, across = (width - 1) / window + 1;
  parallel_ranges(op.y.shape[0] * height, std::max<int64_t>(1, 4 * kElementGrain / (width * token)),
                  [&](int64_t begin, int64_t end) {
                    for (int64_t line = begin; line < end; ++line) {
                      const int64_t row = line % height;
                      std::byte* to = op.y.raw() + line * width * token;
                      for (int64_t j = 0; j < across; ++j) {
                        const int64_t index = (line / height * down + row / window) * across + j;
                        const int64_t kept = std::min(window, width - j * window);
                        std::memcpy(to + j * window * token, op.x.raw() + (index * window + row % window) * window * token,
                                    static_cast<size_t>(kept * token));
                      }
                    }
                  });
}

}  // namespace mglmm::cpu
