// Sums and maxima over the threads of a warp and of a block, in an order that the number of threads alone decides.
#pragma once
#include "cuda/launch.cuh"

namespace mglmm::cuda {

inline constexpr uint32_t kAllLanes = 0xffffffff;

struct Plus {
  __device__ static float of(float a, float b) { return a + b; }
  static constexpr float kNone = 0;
};
// A NaN is passed over, unless all are NaN.
struct Larger {
  __device__ static float of(float a, float b) { return fmaxf(a, b); }
  static constexpr float kNone = -__builtin_huge_valf();
};

// In every lane, over its group of `width` lanes.
template <typename Operation>
__device__ __forceinline__ float reduce_warp(float value, int width = 32) {
  for (int bits = width / 2; bits > 0; bits /= 2) value = Operation::of(value, __shfl_xor_sync(kAllLanes, value, bits));
  return value;
}

template <typename Operation>
struct WarpResults {
  float values[32];
};

// In every thread, over the block (along x). All of its threads come here.
template <typename Operation>
__device__ __forceinline__ float reduce_block(float value) {
  auto& results = shared<WarpResults<Operation>>();
  const int lane = static_cast<int>(threadIdx.x) % 32;
  value = reduce_warp<Operation>(value);
  if (blockDim.x == 32) return value;
  __syncthreads();  // an earlier reduction may still be read
  if (lane == 0) results.values[threadIdx.x / 32] = value;
  __syncthreads();
  value = lane < static_cast<int>(blockDim.x) / 32 ? results.values[lane] : Operation::kNone;
  return reduce_warp<Operation>(value);
}

__device__ __forceinline__ float block_sum(float value) { return reduce_block<Plus>(value); }
__device__ __forceinline__ float block_max(float value) { return reduce_block<Larger>(value); }

// Threads for a row of `size` elements of which each thread takes about eight.
inline int threads_for_row(int64_t size) {
  const int64_t wanted = (size / 8 + 31) / 32 * 32;
  return static_cast<int>(wanted < 32 ? 32 : wanted > 512 ? 512 : wanted);
}

}  // namespace mglmm::cuda
