// Values as integers that sort as they do, a NaN above all and -0 as 0; of equals the lower index comes first.
#pragma once
#include <cstdint>

#include "cuda/row.cuh"

namespace mglmm::cuda {

struct Candidate {
  int32_t key;
  int32_t index;
  __device__ bool before(const Candidate& other) const {
    return key > other.key || (key == other.key && index < other.index);
  }
};
__device__ __forceinline__ Candidate no_candidate() { return {INT32_MIN, INT32_MAX}; }

__device__ __forceinline__ int32_t sort_key(float value) {
  const float positive_zero = value + 0.0F;  // -0 + 0 is 0
  int32_t bits = 0;
  memcpy(&bits, &positive_zero, sizeof bits);
  return value != value ? INT32_MAX : bits ^ ((bits >> 31) & INT32_MAX);
}

struct WarpCandidates {
  Candidate values[32];
};

__device__ __forceinline__ Candidate first_of_warp(Candidate best) {
  for (int bits = 16; bits > 0; bits /= 2) {
    const Candidate other{__shfl_xor_sync(0xffffffff, best.key, bits), __shfl_xor_sync(0xffffffff, best.index, bits)};
    if (other.before(best)) best = other;
  }
  return best;
}

// In every thread, of the block. All of its threads come here.
__device__ __forceinline__ Candidate first_of_block(Candidate best) {
  auto& results = shared<WarpCandidates>();
  const int lane = static_cast<int>(threadIdx.x) % 32;
  best = first_of_warp(best);
  __syncthreads();  // an earlier result may still be read
  if (lane == 0) results.values[threadIdx.x / 32] = best;
  __syncthreads();
  return first_of_warp(lane < static_cast<int>(blockDim.x) / 32 ? results.values[lane] : no_candidate());
}

// Of the elements of a row that `counts(candidate)` is true of, in every thread of the team.
template <typename T, typename Counts>
__device__ __forceinline__ Candidate first_of_row(const RowTeams& teams, const T* row, Counts&& counts) {
  Candidate best = no_candidate();
  each_packet(
      teams,
      [&](int64_t i, const auto& packet) {
        for (const T value : packet.values) {
          const Candidate candidate{sort_key(to_float(value)), static_cast<int32_t>(i++)};
          if (counts(candidate) && candidate.before(best)) best = candidate;
        }
      },
      row);
  return teams.of_warps() ? first_of_warp(best) : first_of_block(best);
}

}  // namespace mglmm::cuda
