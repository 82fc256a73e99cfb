// The elements of one row, shared out over the threads of a block.
#pragma once
#include "cuda/number.cuh"
#include "cuda/reduce.cuh"

namespace mglmm::cuda {

// Calls `body(i)` for the first of each packet that is this thread's. The size is a multiple of `packet`.
template <int packet, typename Body>
__device__ __forceinline__ void each_packet(int64_t size, Body&& body) {
  for (int64_t i = static_cast<int64_t>(threadIdx.x) * packet; i < size; i += static_cast<int64_t>(blockDim.x) * packet)
    body(i);
}

// Calls `body(std::integral_constant)` with the packet that rows of `size` elements at these places allow.
template <typename T, typename Body, typename... Pointers>
void by_packet(int64_t size, Body&& body, const Pointers*... pointers) {
  if (size % kPacket<T> == 0 && aligned(pointers...))
    body(std::integral_constant<int, kPacket<T>>{});
  else
    body(std::integral_constant<int, 1>{});
}

// Of a row of the block, in every thread.
template <typename T>
__device__ __forceinline__ float log_sum_exp(const T* row, int64_t size) {
  float largest = Larger::kNone;
  each_packet<1>(size, [&](int64_t i) { largest = Larger::of(largest, to_float(row[i])); });
  largest = block_max(largest);
  const float base = largest == Larger::kNone ? 0.0F : largest;
  float total = 0;
  each_packet<1>(size, [&](int64_t i) { total += expf(to_float(row[i]) - base); });
  return base + logf(block_sum(total));
}

}  // namespace mglmm::cuda
