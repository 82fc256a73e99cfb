#include "kernels/copy.h"

#include <cstring>

#include "cpu/parallel.h"
#include "kernels/stream.h"

namespace mglmm::cpu {

void run(const Copy& op, Stream&) {
  const std::byte* x = op.x.raw();
  std::byte* y = op.y.raw();
  parallel_ranges(op.y.bytes(), 8 * kElementGrain,
                  [=](int64_t begin, int64_t end) { std::memcpy(y + begin, x + begin, static_cast<size_t>(end - begin)); });
}

}  // namespace mglmm::cpu
