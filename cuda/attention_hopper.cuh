// Attention for sm_90a (Shah et al. 2024, arXiv 2407.08608): a thread loads tiles of 128 keys and of their values by TMA
// into a ring, two groups of four warps have 64 queries each and multiply by wgmma. The keys of a tile are multiplied
// together with the values of the tile before, so that tensor cores work while exponentials are taken. For bf16 and f16,
// heads of 64 and 128 numbers, 64 queries and more. Results are rounded where those of cuda/attention_tiles.cuh are.
//
// Sight is that of cuda/attention.cuh, without bias.
#pragma once
#include "cuda/attention_tiles.cuh"
#include "cuda/hopper.cuh"

namespace mglmm::cuda {

inline constexpr int kGroups = 2;
inline constexpr int kGroupQueries = 64;
inline constexpr int kHopperQueries = kGroups * kGroupQueries;  // of a block
inline constexpr int kHopperKeys = 128;                         // of a tile
// A group of which one thread loads comes last. It gives its registers to the others: 168 a thread at first, of all 65536.
inline constexpr int kConsumerWarps = 4 * kGroups;
inline constexpr int kHopperThreads = kGroupThreads * (kGroups + 1);
inline constexpr int kLoaderRegisters = 24;
inline constexpr int kConsumerRegisters = 240;
inline constexpr int kSlots = 4;  // of the ring: the keys and the values of two tiles

// Numbers of a tile of the ring.
template <int dim>
inline constexpr int kHopperTile{dim * kHopperKeys};

// Queries and ring, and what it takes to begin at a multiple of 1024.
template <int dim>
inline constexpr int64_t kHopperSharedBytes = 1024 + 2 * (dim * kHopperQueries + dim * kSlots * kHopperKeys);

namespace {

struct RingBarriers {
  Barrier queries;
  Barrier full[kSlots];
  Barrier empty[kSlots];
};

// What goes through the ring, in order: the keys of tile 0, its values, the keys of tile 1 ...
struct RingPlace {
  int slot, parity;
  __device__ explicit RingPlace(int index) : slot(index % kSlots), parity(index / kSlots % 2) {}
};

// `rows` rows of a head into shared memory, as columns of tiles.
template <int dim>
__device__ __forceinline__ void load_rows(uint16_t* to, const TensorMap& map, Barrier* barrier, int rows, int first,
                                          int head, int batch) {
#pragma unroll
  for (int column = 0; column < dim; column += kBoxColumns)
    load_box(to + column * rows, map, barrier, {column, first, head, batch});
}

struct HopperMaps {
  const TensorMap& queries;
  const TensorMap& keys;
  const TensorMap& values;
};

// What a block works on.
struct HopperBlock {
  int batch, head, kv_head, first_query;
  int end;               // keys that any of its queries may see
  uint16_t* query_tile;  // of kGroups groups
  uint16_t* ring;
  RingBarriers* barriers;
  __device__ int tiles() const { return (end + kHopperKeys - 1) / kHopperKeys; }
};

// By one thread.
template <int dim>
__device__ __forceinline__ void load_tiles(const HopperBlock& block, const HopperMaps& maps) {
  RingBarriers& barriers = *block.barriers;
  expect_bytes(&barriers.queries, 2 * kHopperQueries * dim);
  for (int group = 0; group < kGroups; ++group) {
    load_rows<dim>(block.query_tile + group * kGroupQueries * dim, maps.queries, &barriers.queries, kGroupQueries,
                   block.first_query + group * kGroupQueries, block.head, block.batch);
  }
  for (int i = 0; i < 2 * block.tiles(); ++i) {
    const RingPlace place(i);
    wait(&barriers.empty[place.slot], 1 - place.parity);
    expect_bytes(&barriers.full[place.slot], 2 * kHopperTile<dim>);
    load_rows<dim>(block.ring + place.slot * kHopperTile<dim>, i % 2 == 0 ? maps.keys : maps.values,
                   &barriers.full[place.slot], kHopperKeys, i / 2 * kHopperKeys, block.kv_head, block.batch);
  }
}

// What 16 queries of a warp have of the tiles, `seen` first keys each.
template <int dim, typename T, typename Sight>
struct HopperConsumer {
  const HopperBlock& block;
  const Sight& sight;
  const float scale;  // to logits in units of ln 2
  const int (&seen)[2];
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int group = static_cast<int>(threadIdx.x) / kGroupThreads;
  OnlineSoftmax softmax;
  float sums[dim / 8][4] = {};
  float logits[kHopperKeys / 8][4];
  uint32_t p[kHopperKeys / 16][4];

  __device__ __forceinline__ HopperConsumer(const HopperBlock& the_block, const Sight& the_sight, float logit_scale,
                                            const int (&keys_seen)[2])
      : block(the_block), sight(the_sight), scale(logit_scale), seen(keys_seen) {}

  __device__ __forceinline__ uint16_t* filled(int index) const {
    const RingPlace place(index);
    wait(&block.barriers->full[place.slot], place.parity);
    return block.ring + place.slot * kHopperTile<dim>;
  }
  __device__ __forceinline__ void release(int index) const {
    __syncwarp();
    if (lane == 0) arrive(&block.barriers->empty[RingPlace(index).slot]);
  }
  // Until `taken` is calculated, which is never below 0, so that nothing arrives. Where nothing waits for a number ptxas
  // decides: it would wait for products first and take exponentials then (check:cuda looks).
  __device__ __forceinline__ void finish(float taken) const {
    if (taken < 0.0F) arrive(&block.barriers->queries);
  }

  __device__ __forceinline__ void multiply_keys(int tile) {
    const uint16_t* const queries = block.query_tile + group * kGroupQueries * dim;
    const uint16_t* const keys = filled(2 * tile);
    fence_products(logits);
#pragma unroll
    for (int k = 0; k < dim; k += 16) {
      const int column = k / kBoxColumns * kBoxColumns;
      multiply_async<T>(logits, matrix_at(queries + column * kGroupQueries + k % kBoxColumns, 0),
                        matrix_at(keys + column * kHopperKeys + k % kBoxColumns, 0), k > 0);
    }
    commit_products();
  }

  __device__ __forceinline__ void multiply_values(int tile) {
    uint16_t* const values = filled(2 * tile + 1);
    if (tile * kHopperKeys + kHopperKeys > block.end || sight.hides_some) clear_unseen(values, tile * kHopperKeys);
    fence_products(sums, p);
#pragma unroll
    for (int k = 0; k < kHopperKeys / 16; ++k)
      multiply_async<T>(sums, p[k], matrix_at(values + 16 * k * kBoxColumns, 2 * kHopperKeys * kBoxColumns));
    commit_products();
  }

  // What nobody sees may hold a NaN, which a probability of 0 would not take away. A row a thread of the group.
  __device__ __forceinline__ void clear_unseen(uint16_t* values, int first) const {
    static_assert(kHopperKeys == kGroupThreads);
    const int row = static_cast<int>(threadIdx.x) % kGroupThreads;
    if (first + row >= block.end || sight.hides(block.batch, first + row)) {
      for (int i = 0; i < dim; i += 8) {
        const int column = i / kBoxColumns * kBoxColumns;
        store_packet(values + column * kHopperKeys + row * kBoxColumns + i % kBoxColumns, Packet<uint16_t, 8>{});
      }
    }
    fence_async();
    group_barrier(1 + group, kGroupThreads);
  }

  __device__ __forceinline__ void take_logits(int tile) {
    const int first = tile * kHopperKeys + 2 * (lane % 4);
    if (tile * kHopperKeys + kHopperKeys > (seen[0] < seen[1] ? seen[0] : seen[1])) {
#pragma unroll
      for (int n = 0; n < kHopperKeys / 8; ++n) {
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          if (8 * n + i % 2 >= seen[i / 2] - first) logits[n][i] = Larger::kNone;
        }
      }
    }
    if (sight.hides_some) {
#pragma unroll
      for (int n = 0; n < kHopperKeys / 8; ++n) {
#pragma unroll
        for (int column = 0; column < 2; ++column) {
          const int key = first + 8 * n + column;
          if (key < block.end && sight.hides(block.batch, key)) logits[n][column] = logits[n][2 + column] = Larger::kNone;
        }
      }
    }
    softmax.raise(logits, scale);
    softmax.exponentiate(logits, scale);
  }

  __device__ __forceinline__ void round_probabilities() {
#pragma unroll
    for (int k = 0; k < kHopperKeys / 16; ++k) probabilities<T>(p[k], logits, k);
  }

  __device__ __forceinline__ void take_all() {
    wait(&block.barriers->queries, 0);
    multiply_keys(0);
    wait_for_products<0>(logits);
    release(0);
    take_logits(0);
    round_probabilities();
    for (int tile = 1; tile < block.tiles(); ++tile) {
      multiply_keys(tile);
      multiply_values(tile - 1);
      wait_for_products<1>(logits);
      release(2 * tile);
      take_logits(tile);
      finish(softmax.total[0] + softmax.total[1]);
      wait_for_products<0>(sums, p);
      release(2 * tile - 1);
      softmax.rescale(sums);
      round_probabilities();
    }
    multiply_values(block.tiles() - 1);
    wait_for_products<0>(sums, p);
  }
};

// Blocks along x: tiles of queries, the last ones, which see most where attention is causal, first; y: heads; z: batch.
template <int dim, typename T, typename Sight>
__global__ void __launch_bounds__(kHopperThreads, 1)
    attend_hopper_kernel(const __grid_constant__ TensorMap queries, const __grid_constant__ TensorMap keys,
                         const __grid_constant__ TensorMap values, AttentionInputs<T> in, Sight sight, T* y,
                         float* logsumexp) {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL) || defined(MGLMM_SIMULATED)
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int warp = static_cast<int>(threadIdx.x) / 32;
  const auto head = static_cast<int>(blockIdx.y);
  const auto batch = static_cast<int>(blockIdx.z);
  const int first_query = static_cast<int>(gridDim.x - 1 - blockIdx.x) * kHopperQueries;
  const int own_query = first_query + 16 * warp + lane / 4;  // and the one 8 below
  int seen[2] = {};
  for (int i = 0; i < 2; ++i) {
    if (warp < kConsumerWarps && own_query + 8 * i < in.queries.tokens)
      seen[i] = static_cast<int>(sight.keys(batch, own_query + 8 * i));
  }
  auto& barriers = shared<RingBarriers>();
  if (threadIdx.x == 0) {
    init_barrier(&barriers.queries, 1);
    for (int slot = 0; slot < kSlots; ++slot) {
      init_barrier(&barriers.full[slot], 1);
      init_barrier(&barriers.empty[slot], kConsumerWarps);
    }
    fence_async();
  }
  // As f32: a head has fewer than 2^24 keys. All threads meet in it, and know the barriers afterwards.
  const auto end = static_cast<int>(block_max(static_cast<float>(seen[0] > seen[1] ? seen[0] : seen[1])));
  auto* const memory = dynamic_shared<unsigned char>();
  auto* const query_tile = reinterpret_cast<uint16_t*>(memory + (-shared_address(memory) & 1023));
  const HopperBlock block{batch,
                          head,
                          head / static_cast<int>(in.queries.heads / in.keys.heads),
                          first_query,
                          end,
                          query_tile,
                          query_tile + kHopperQueries * dim,
                          &barriers};
  if (warp >= kConsumerWarps) {
    give_registers<kLoaderRegisters>();
    if (warp == kConsumerWarps && lane == 0 && end > 0) load_tiles<dim>(block, {queries, keys, values});
  } else {
    take_registers<kConsumerRegisters>();
    HopperConsumer<dim, T, Sight> consumer(block, sight, in.scale * kLog2E, seen);
    if (end > 0) consumer.take_all();
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      const int query = own_query + 8 * i;
      const float sum = consumer.softmax.sum(i);
      if (query >= in.queries.tokens) continue;
      const int64_t index = (batch * in.queries.heads + head) * in.queries.tokens + query;
      store_query(y + in.results.offset(batch, head, query), logsumexp == nullptr ? nullptr : logsumexp + index,
                  consumer.sums, i, consumer.softmax.largest[i], sum);
    }
  }
#endif
}

template <int dim, typename T, typename Sight>
void attend_hopper_of(CudaStream& stream, int64_t batch, const AttentionInputs<T>& in, const Sight& sight, T* y,
                      float* logsumexp) {
  const auto map = [batch](const T* x, const HeadRows& rows, int box_rows) {
    return tensor_map(x, {dim, rows.tokens, rows.heads, batch}, {rows.token_stride, rows.head_stride, rows.batch_stride},
                      box_rows);
  };
  const Grid grid{.blocks = blocks_for(in.queries.tokens, kHopperQueries),
                  .threads = kHopperThreads,
                  .y = in.queries.heads,
                  .z = batch,
                  .shared_bytes = kHopperSharedBytes<dim>};
  launch(stream, attend_hopper_kernel<dim, T, Sight>, grid, map(in.q, in.queries, kGroupQueries),
         map(in.k, in.keys, kHopperKeys), map(in.v, in.keys, kHopperKeys), in, sight, y, logsumexp);
}

}  // namespace

// False where the device, the sizes or how the tensors lie are not for it.
template <typename T, typename Sight>
bool attend_hopper(CudaStream& stream, int64_t batch, const AttentionInputs<T>& in, const Sight& sight, T* y,
                   float* logsumexp) {
  const bool some = batch > 0 && in.queries.heads > 0 && in.keys.tokens > 0;
  if (!stream.is_hopper() || !some || in.queries.tokens < kGroupQueries) return false;
  return by_tile_dim(in, y, [&](auto dim) {
    if constexpr (dim.value % kBoxColumns == 0) {
      attend_hopper_of<dim.value>(stream, batch, in, sight, y, logsumexp);
      return true;
    }
    return false;
  });
}

}  // namespace mglmm::cuda
