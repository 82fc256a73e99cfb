// The order of the blocks of attention_hopper.cuh: one of them a multiprocessor, from the first one on.
#pragma once
#include "cuda/launch.cuh"

namespace mglmm::cuda {

// Blocks that run at once should find keys and values in the L2 cache, of 50 MB and more: heads with so many bytes of them
// come before all others.
inline constexpr int64_t kBytesAtOnce = 32 << 20;

// Of heads at once the last queries, which see most where attention is causal, come first, so that short blocks are left
// for the end.
struct AttentionOrder {
  int tiles;  // of queries, of each head
  int heads;  // of all rows of the batch
  int heads_at_once;
  struct Place {
    int head, tile;
  };
  __host__ __device__ Place at(int block) const {
    const int first = block / (heads_at_once * tiles) * heads_at_once;
    const int count = heads - first < heads_at_once ? heads - first : heads_at_once;
    const int index = block - first * tiles;
    return {first + index % count, tiles - 1 - index / count};
  }
};

}  // namespace mglmm::cuda
