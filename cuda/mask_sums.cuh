// What a pixel adds to the sums of which the losses of masks are made, and those of a block.
#pragma once
#include "cuda/reduce.cuh"
#include "cuda/tensor_cores.cuh"

namespace mglmm::cuda {
namespace {

constexpr int kThreads = 256;

// ln(1 + x) / x for x from 0 to 1, fitted at Chebyshev's points: to 8e-8 of it.
__device__ __forceinline__ float log1p_share(float x) {
  constexpr float kTerms[] = {-0.0295885075F, 0.0783616677F, -0.136747703F, 0.191114306F,
                              -0.248443693F,  0.333192706F,  -0.499995023F, 1.0F};
  float share = 0.00525345793F;
#pragma unroll
  for (const float term : kTerms) share = fmaf(share, x, term);
  return share;
}

// sigmoid(x) and what is left to 1, both to some ulp however large |x|; e = exp(-|x|).
struct Sigmoid {
  float e, p, rest;
  __device__ explicit Sigmoid(float x) : e(expf(-fabsf(x))) {
    const float larger = reciprocal(1.0F + e);
    p = x < 0.0F ? e * larger : larger;
    rest = x < 0.0F ? larger : e * larger;
  }
};

// Number: float for the pixels of a warp, double for more.
template <typename Number>
struct Sums {
  Number entropy, both, p, target;
  Number hit, inside;  // of pixels with p > 1/2: target, all

  template <typename Other>
  __device__ __forceinline__ void operator+=(const Sums<Other>& part) {
    entropy += part.entropy;
    both += part.both;
    p += part.p;
    target += part.target;
    hit += part.hit;
    inside += part.inside;
  }
  __device__ __forceinline__ void add_pixel(float x, float goal) {
    const Sigmoid s(x);
    entropy += fmaf(s.e, log1p_share(s.e), fmaf(-x, goal, fmaxf(x, 0.0F)));
    both += s.p * goal;
    p += s.p;
    target += goal;
    if (x > 0.0F) {
      hit += goal;
      inside += 1;
    }
  }
};
using Total = Sums<double>;

struct WarpSums {
  Total values[kThreads / 32];
};

// In thread 0. All threads of the block come here.
template <typename Number>
__device__ Total sum_of_block(Sums<Number> own) {
  auto& sums = shared<WarpSums>();
  for (int bits = 16; bits > 0; bits /= 2) {
    own.entropy += __shfl_xor_sync(0xffffffff, own.entropy, bits);
    own.both += __shfl_xor_sync(0xffffffff, own.both, bits);
    own.p += __shfl_xor_sync(0xffffffff, own.p, bits);
    own.target += __shfl_xor_sync(0xffffffff, own.target, bits);
    own.hit += __shfl_xor_sync(0xffffffff, own.hit, bits);
    own.inside += __shfl_xor_sync(0xffffffff, own.inside, bits);
  }
  if (threadIdx.x % 32 == 0) {
    Total& warp = sums.values[threadIdx.x / 32];
    warp = {};
    warp += own;
  }
  __syncthreads();
  Total total{};
  for (int i = 0; threadIdx.x == 0 && i < kThreads / 32; ++i) total += sums.values[i];
  return total;
}

__device__ __forceinline__ void put_sum_of_block(const Sums<float>& own, Total* partial) {
  const Total sum = sum_of_block(own);
  if (threadIdx.x == 0) partial[blockIdx.x] = sum;
}

}  // namespace
}  // namespace mglmm::cuda
