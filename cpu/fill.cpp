#include "kernels/fill.h"

#include <algorithm>
#include <bit>

#include "cpu/parallel.h"
#include "kernels/stream.h"

namespace mglmm::cpu {
namespace {

uint32_t bits_of(Dtype dtype, double value) {
  switch (dtype) {
    case Dtype::bf16: return bf16(static_cast<float>(value)).bits;
    case Dtype::f16: return f16(static_cast<float>(value)).bits;
    case Dtype::f32: return std::bit_cast<uint32_t>(static_cast<float>(value));
    default: return static_cast<uint32_t>(static_cast<int64_t>(value));
  }
}

}  // namespace

void run(const Fill& op, Stream&) {
  by_width(op.dtype, [&]<typename T>(Type<T>) {
    T* y = op.y.data<T>();
    const T bits = static_cast<T>(bits_of(op.dtype, op.value));
    parallel_ranges(op.y.count(), 4 * kElementGrain,
                    [=](int64_t begin, int64_t end) { std::fill(y + begin, y + end, bits); });
  });
}

}  // namespace mglmm::cpu
