// Softmax over keys that come in tiles (Milakov and Gimelshein 2018, arXiv 1805.02867), of two queries a lane: fragments d
// of cuda/tensor_cores.cuh, whose numbers i have query i / 2.
#pragma once
#include "cuda/reduce.cuh"
#include "cuda/tensor_cores.cuh"

namespace mglmm::cuda {

inline constexpr float kLog2E = 1.4426950408889634F;
inline constexpr float kLn2 = 0.6931471805599453F;

struct OnlineSoftmax {
  float largest[2] = {Larger::kNone, Larger::kNone};  // logit in units of ln 2, in all four lanes of a query
  float total[2] = {};                                // of the keys of this lane
  float factor[2] = {};                               // what the last tile makes of sums from before it

  // Takes the logits of a tile, in units of ln 2 when times `scale`, into the largest.
  template <int blocks>
  __device__ __forceinline__ void raise(const float (&logits)[blocks][4], float scale) {
    float above[2] = {Larger::kNone, Larger::kNone};
#pragma unroll
    for (int n = 0; n < blocks; ++n) {
#pragma unroll
      for (int i = 0; i < 4; ++i) above[i / 2] = Larger::of(above[i / 2], logits[n][i]);
    }
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      const float before = largest[i];
      largest[i] = Larger::of(before, reduce_warp<Larger>(above[i], 4) * scale);
      factor[i] = power_of_2(before - base(i));
      total[i] *= factor[i];
    }
  }

  // Then these logits become exponentials.
  template <int blocks>
  __device__ __forceinline__ void exponentiate(float (&logits)[blocks][4], float scale) {
#pragma unroll
    for (int n = 0; n < blocks; ++n) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        // A NaN, which the maximum passed over, is one again.
        logits[n][i] = power_of_2(fmaf(logits[n][i], scale, -base(i / 2)));
        total[i / 2] += logits[n][i];
      }
    }
  }

  // What is taken from logits: 0 as long as there is none, or -infinity alone.
  __device__ __forceinline__ float base(int which) const { return largest[which] == Larger::kNone ? 0.0F : largest[which]; }

  // Whether the last tile makes anything else of sums from before it, for a query of the warp.
  __device__ __forceinline__ bool has_risen() const {
    return __all_sync(kAllLanes, factor[0] == 1.0F && factor[1] == 1.0F) == 0;
  }

  template <int blocks>
  __device__ __forceinline__ void rescale(float (&sums)[blocks][4]) const {
#pragma unroll
    for (int n = 0; n < blocks; ++n) {
#pragma unroll
      for (int i = 0; i < 4; ++i) sums[n][i] *= factor[i / 2];
    }
  }

  // The sum of exponentials of query `which`, in all four lanes.
  __device__ __forceinline__ float sum(int which) const { return reduce_warp<Plus>(total[which], 4); }
};

// Exponentials of 16 keys, as T, as a fragment a.
template <typename T, int blocks>
__device__ __forceinline__ void probabilities(uint32_t (&p)[4], const float (&exponentials)[blocks][4], int k) {
  const float(&low)[4] = exponentials[2 * k];
  const float(&high)[4] = exponentials[2 * k + 1];
  p[0] = pair_of<T>(low[0], low[1]);
  p[1] = pair_of<T>(low[2], low[3]);
  p[2] = pair_of<T>(high[0], high[1]);
  p[3] = pair_of<T>(high[2], high[3]);
}

// What a query's results are of what its exponentials give times values, `sum` theirs. Of one that sees nothing that is 0.
__device__ __forceinline__ float part_of_sum(float sum) { return sum == 0.0F ? 1.0F : 1.0F / sum; }
__device__ __forceinline__ float log_of_sum(float largest, float sum) {
  return sum == 0.0F ? -Larger::kNone : largest * kLn2 + logf(sum);
}

// Query `which` of the lane's two: its result, in its row `y`, and its log-sum-exp, if `logsumexp` is not null.
template <typename T, int blocks>
__device__ __forceinline__ void store_query(T* y, float* logsumexp, const float (&sums)[blocks][4], int which, float largest,
                                            float sum) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const float part = part_of_sum(sum);
#pragma unroll
  for (int n = 0; n < blocks; ++n) {
    *reinterpret_cast<uint32_t*>(y + 8 * n + 2 * (lane % 4)) =
        pair_of<T>(sums[n][2 * which] * part, sums[n][2 * which + 1] * part);
  }
  if (logsumexp != nullptr && lane % 4 == 0) *logsumexp = log_of_sum(largest, sum);
}

}  // namespace mglmm::cuda
