// Rows that lie apart, copied: what concat and slice are made of.
#pragma once
#include "cuda/number.cuh"

namespace mglmm::cuda {
namespace {

constexpr int kStridedThreads = 256;

template <typename Word>
__global__ void __launch_bounds__(kStridedThreads)
    copy_rows_kernel(int64_t rows, int64_t words, const Word* x, int64_t x_stride, Word* y, int64_t y_stride) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kStridedThreads + threadIdx.x;
  if (i < rows * words) y[i / words * y_stride + i % words] = x[i / words * x_stride + i % words];
}

}  // namespace

// `bytes` of each row; strides in bytes. In the largest words that divide all of it.
inline void copy_rows(CudaStream& stream, int64_t rows, int64_t bytes, const std::byte* x, int64_t x_stride, std::byte* y,
                      int64_t y_stride) {
  const auto with = [&]<typename Word>(Type<Word>) {
    constexpr auto kSize = static_cast<int64_t>(sizeof(Word));
    launch(stream, copy_rows_kernel<Word>,
           {.blocks = blocks_for(rows * (bytes / kSize), kStridedThreads), .threads = kStridedThreads}, rows, bytes / kSize,
           reinterpret_cast<const Word*>(x), x_stride / kSize, reinterpret_cast<Word*>(y), y_stride / kSize);
  };
  const auto all =
      reinterpret_cast<uintptr_t>(x) | reinterpret_cast<uintptr_t>(y) | static_cast<uintptr_t>(bytes | x_stride | y_stride);
  if (all % 16 == 0)
    with(Type<Packet<uint32_t, 4>>{});
  else if (all % 4 == 0)
    with(Type<uint32_t>{});
  else if (all % 2 == 0)
    with(Type<uint16_t>{});
  else
    with(Type<uint8_t>{});
}

}  // namespace mglmm::cuda
