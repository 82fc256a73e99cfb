#include "kernels/pack_bits.h"

#include <cmath>

#include "cuda/number.cuh"

namespace mglmm::cuda {
namespace {

constexpr int kThreads = 256;

__device__ __forceinline__ double value_of(uint8_t pixel) { return pixel; }
template <typename T>
__device__ __forceinline__ double value_of(T logit) {
  return static_cast<double>(to_float(logit));
}

// A thread a byte of bits.
template <typename T>
__global__ void __launch_bounds__(kThreads)
    pack_kernel(int64_t count, int64_t width, int64_t row_bytes, const T* masks, double threshold, uint8_t* bits) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= count) return;
  const int64_t first = i % row_bytes * 8;
  const T* row = masks + i / row_bytes * width;
  unsigned byte = 0;
  for (int bit = 0; bit < 8; ++bit) {
    if (first + bit < width && value_of(row[first + bit]) > threshold) byte |= 1U << bit;
  }
  bits[i] = static_cast<uint8_t>(byte);
}

}  // namespace

void run(const PackBits& op, CudaStream& stream) {
  const int64_t width = op.masks.shape[-1];
  const auto with = [&]<typename T>(Type<T>) {
    launch(stream, pack_kernel<T>, {.blocks = blocks_for(op.bits.count(), kThreads), .threads = kThreads}, op.bits.count(),
           width, bit_row_bytes(width), op.masks.data<T>(), op.threshold, op.bits.data<uint8_t>());
  };
  if (op.masks.dtype == Dtype::u8)
    with(Type<uint8_t>{});
  else
    by_dtype(op.masks.dtype, with);
}

}  // namespace mglmm::cuda
