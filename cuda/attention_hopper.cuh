// Attention for sm_90a (Shah et al. 2024, arXiv 2407.08608): a thread loads tiles of 128 keys and of their values by TMA
// into a ring, two or three groups of four warps have 64 queries each and multiply by wgmma. The keys of a tile are
// multiplied together with the values of the tile before, and the groups take turns in it, so that tensor cores work for one
// while others take exponentials. For bf16 and f16, heads of 64 and 128 numbers, 64 queries and more. Results are
// rounded where those of cuda/attention_tiles.cuh are.
//
// Sight is that of cuda/attention.cuh, without bias.
#pragma once
#include <algorithm>

#include "cuda/attention_hopper_tiles.cuh"
#include "cuda/attention_order.cuh"
#include "cuda/attention_tiles.cuh"

namespace mglmm::cuda {

namespace {

// What a group needs of the tiles: all of its queries see the first `whole`, none what is behind `own`.
struct GroupTiles {
  int whole, own;
};

// What 16 queries of a warp have of the tiles, `seen` first keys each.
template <int dim, typename T, typename Sight>
struct HopperConsumer {
  const HopperBlock<dim>& block;
  const Sight& sight;
  const float scale;  // to logits in units of ln 2
  const int (&seen)[2];
  const GroupTiles tiles;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  // By a shuffle, so that ptxas knows it to be the same for the warp: it takes no register then.
  const int group = __shfl_sync(kAllLanes, static_cast<int>(threadIdx.x) / kGroupThreads, 0);
  OnlineSoftmax softmax;
  float sums[dim / 8][4] = {};
  float logits[kHopperKeys / 8][4];
  uint32_t p[kHopperKeys / 16][4];

  __device__ __forceinline__ HopperConsumer(const HopperBlock<dim>& the_block, const Sight& the_sight, float logit_scale,
                                            const int (&keys_seen)[2], GroupTiles group_tiles)
      : block(the_block), sight(the_sight), scale(logit_scale), seen(keys_seen), tiles(group_tiles) {}

  __device__ __forceinline__ void release(Barrier* free) const {
    __syncwarp();
    if (lane == 0) arrive(free);
  }
  // Until `taken` is calculated, which is never below 0, so that nothing arrives. Where nothing waits for a number ptxas
  // decides: it would wait for products first and take exponentials then (check:cuda looks).
  __device__ __forceinline__ void finish(float taken) const {
    if (taken < 0.0F) arrive(&block.barriers->queries);
  }

  // Group after group, and again: each phase of a group's barrier has its own threads, which wait, and those of the one
  // before.
  __device__ __forceinline__ void await_turn() const { group_barrier(kTurnBarrier<dim> + group, 2 * kGroupThreads); }
  __device__ __forceinline__ void pass_turn() const {
    group_arrive(kTurnBarrier<dim> + (group == block.groups - 1 ? 0 : group + 1), 2 * kGroupThreads);
  }

  // Once the keys are there.
  __device__ __forceinline__ void multiply_keys(RingPlace<dim> place) {
    const uint64_t queries = matrix_at(block.queries(group), 0);
    const uint64_t keys = matrix_at(block.keys(place.slot), 0);
    fence_products(logits);
#pragma unroll
    for (int k = 0; k < dim; k += 16) {
      const int column = k / kBoxColumns * kBoxColumns;
      multiply_async<T>(logits, further(queries, 2 * (column * kGroupQueries + k % kBoxColumns)),
                        further(keys, 2 * (column * kHopperKeys + k % kBoxColumns)), k > 0);
    }
    commit_products();
  }

  // Once the values are there.
  __device__ __forceinline__ void multiply_values(RingPlace<dim> place) {
    const uint64_t values = matrix_at(block.values(place.slot), 2 * kHopperKeys * kBoxColumns);
    fence_products(sums, p);
#pragma unroll
    for (int k = 0; k < kHopperKeys / 16; ++k) multiply_async<T>(sums, p[k], further(values, 2 * 16 * k * kBoxColumns));
    commit_products();
  }

  // Waits for the values of a tile. What nobody sees of them may hold a NaN, which a probability of 0 would not take away:
  // it becomes 0. A row a thread of the group.
  __device__ __forceinline__ void await_values(int tile, bool whole) const {
    const RingPlace<dim> place(tile);
    const int first = tile * kHopperKeys;
    wait(&block.barriers->values[place.slot], place.parity);
    if (whole || (first + kHopperKeys <= block.end && !sight.hides_some)) return;
    static_assert(kHopperKeys == kGroupThreads);
    uint16_t* const values = block.values(place.slot);
    const int row = static_cast<int>(threadIdx.x) % kGroupThreads;
    if (first + row >= block.end || sight.hides(block.batch, first + row)) {
      for (int i = 0; i < dim; i += 8) {
        const int column = i / kBoxColumns * kBoxColumns;
        store_packet(values + column * kHopperKeys + row * kBoxColumns + i % kBoxColumns, Packet<uint16_t, 8>{});
      }
    }
    fence_async();
    group_barrier(kOwnBarrier + group, kGroupThreads);
  }

  __device__ __forceinline__ void hide(int tile) {
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
  }

  __device__ __forceinline__ void take_logits() {
    softmax.raise(logits, scale);
    softmax.exponentiate(logits, scale);
  }

  __device__ __forceinline__ void round_probabilities() {
#pragma unroll
    for (int k = 0; k < kHopperKeys / 16; ++k) probabilities<T>(p[k], logits, k);
  }

  // The keys of a tile and the values of the one before. @param whole - whether all queries of the group see all of it.
  template <bool whole>
  __device__ __forceinline__ void take_tile(int tile) {
    RingBarriers<dim>& barriers = *block.barriers;
    const RingPlace<dim> place(tile), place_before(tile - 1);
    wait(&barriers.keys[place.slot], place.parity);
    await_values(tile - 1, whole);
    await_turn();
    multiply_keys(place);
    multiply_values(place_before);
    pass_turn();
    wait_for_products<1>(logits);
    release(&barriers.free_keys[place.slot]);
    if constexpr (!whole) hide(tile);
    take_logits();
    finish(softmax.total[0] + softmax.total[1]);
    wait_for_products<0>(sums, p);
    release(&barriers.free_values[place_before.slot]);
    softmax.rescale(sums);
    round_probabilities();
  }

  // Turns are as many for each group, whatever it needs; the last one that the last group passes is for nothing. Tiles that
  // it does not need it does not release either: nothing else comes to their places in the ring.
  __device__ __forceinline__ void take_all() {
    RingBarriers<dim>& barriers = *block.barriers;
    if (group == block.groups - 1) pass_turn();
    wait(&barriers.queries, 0);
    wait(&barriers.keys[0], 0);
    await_turn();
    multiply_keys(RingPlace<dim>(0));
    pass_turn();
    wait_for_products<0>(logits);
    release(&barriers.free_keys[0]);
    hide(0);
    take_logits();
    round_probabilities();
    int tile = 1;
    for (; tile < tiles.whole; ++tile) take_tile<true>(tile);
    for (; tile < tiles.own; ++tile) take_tile<false>(tile);
    await_values(tile - 1, false);
    multiply_values(RingPlace<dim>(tile - 1));
    for (; tile < block.tiles(); ++tile) {
      await_turn();
      pass_turn();
    }
    if (group == 0) await_turn();
    wait_for_products<0>(sums, p);
  }

  // By way of the place of the warp's queries, whose products are done, so that rows are stored in packets: those of a row
  // lie in the order that XOR with the row gives, in all banks.
  __device__ __forceinline__ void store(const AttentionInputs<T>& in, T* y, float* logsumexp) const {
    constexpr int kPackets = dim / 8;
    const int warp = static_cast<int>(threadIdx.x) / 32;
    const int first_query = block.first_query + 16 * warp;
    const auto tokens = static_cast<int>(in.queries.tokens);
    T* const rows = reinterpret_cast<T*>(block.memory) + 16 * warp * dim;
    const float totals[2] = {softmax.sum(0), softmax.sum(1)};
    group_barrier(kOwnBarrier + group, kGroupThreads);
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      const int row = lane / 4 + 8 * i;
      const float part = part_of_sum(totals[i]);
#pragma unroll
      for (int n = 0; n < kPackets; ++n) {
        *reinterpret_cast<uint32_t*>(rows + row * dim + 8 * (n ^ row % 8) + 2 * (lane % 4)) =
            pair_of<T>(sums[n][2 * i] * part, sums[n][2 * i + 1] * part);
      }
      if (logsumexp != nullptr && lane % 4 == 0 && first_query + row < tokens) {
        const int64_t head = block.batch * in.queries.heads + block.head;
        logsumexp[head * tokens + first_query + row] = log_of_sum(softmax.largest[i], totals[i]);
      }
    }
    __syncwarp();
#pragma unroll
    for (int packet = lane; packet < 16 * kPackets; packet += 32) {
      const int row = packet / kPackets;
      const int column = packet % kPackets;
      if (first_query + row >= tokens) continue;
      store_packet(y + in.results.offset(block.batch, block.head, first_query + row) + 8 * column,
                   load_packet<8>(rows + row * dim + 8 * (column ^ row % 8)));
    }
  }
};

// Blocks in AttentionOrder.
template <int dim, typename T, typename Sight>
__global__ void __launch_bounds__(kHopperThreads<dim>, 1)
    attend_hopper_kernel(const __grid_constant__ TensorMap queries, const __grid_constant__ TensorMap keys,
                         const __grid_constant__ TensorMap values, AttentionOrder order, AttentionInputs<T> in, Sight sight,
                         T* y, float* logsumexp) {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL) || defined(MGLMM_SIMULATED)
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int warp = static_cast<int>(threadIdx.x) / 32;
  const auto place = order.at(static_cast<int>(blockIdx.x));
  const auto heads = static_cast<int>(in.queries.heads);
  const int batch = place.head / heads;
  const int head = place.head % heads;
  const int first_query = place.tile * kHopperQueries<dim>;
  const auto tokens = static_cast<int>(in.queries.tokens);
  const int groups = kGroups<dim> > 2 && tokens - first_query <= 2 * kGroupQueries ? 2 : kGroups<dim>;
  // A query beyond the last sees what that one does.
  const auto keys_seen = [&](int query) {
    return static_cast<int>(sight.keys(batch, query < tokens - 1 ? query : tokens - 1));
  };
  auto& barriers = shared<RingBarriers<dim>>();
  if (threadIdx.x == 0) {
    init_barrier(&barriers.queries, 1);
    for (int slot = 0; slot < kRingTiles<dim>; ++slot) {
      init_barrier(&barriers.keys[slot], 1);
      init_barrier(&barriers.values[slot], 1);
      init_barrier(&barriers.free_keys[slot], 4 * groups);
      init_barrier(&barriers.free_values[slot], 4 * groups);
    }
    fence_async();
  }
  __syncthreads();
  auto* const memory = dynamic_shared<unsigned char>();
  const HopperBlock<dim> block{batch,
                               head,
                               head / (heads / static_cast<int>(in.keys.heads)),
                               first_query,
                               keys_seen(first_query + kHopperQueries<dim> - 1),
                               groups,
                               &barriers,
                               reinterpret_cast<uint16_t*>(memory + (-shared_address(memory) & 1023))};
  if (warp >= kConsumerWarps<dim>) {
    give_registers<kLoaderRegisters>();
    if (warp == kConsumerWarps<dim> && lane == 0 && block.end > 0) load_tiles(block, {queries, keys, values});
  } else if (warp < 4 * groups) {
    take_registers<kConsumerRegisters<dim>>();
    const int own_query = first_query + 16 * warp + lane / 4;  // and the one 8 below
    const int seen[2] = {keys_seen(own_query), keys_seen(own_query + 8)};
    const int first_of_group = first_query + warp / 4 * kGroupQueries;
    const int seen_by_some = keys_seen(first_of_group + kGroupQueries - 1);
    const int released = block.tiles() - kRingTiles<dim>;  // their places in the ring are needed again
    const int own = std::max((seen_by_some + kHopperKeys - 1) / kHopperKeys, std::max(released, 0) + 1);
    const GroupTiles tiles{sight.hides_some ? 0 : keys_seen(first_of_group) / kHopperKeys, own};
    HopperConsumer<dim, T, Sight> consumer(block, sight, in.scale * kLog2E, seen, tiles);
    if (block.end > 0) consumer.take_all();
    consumer.store(in, y, logsumexp);
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
  const int64_t tiles = blocks_for(in.queries.tokens, kHopperQueries<dim>);
  const int64_t heads = batch * in.queries.heads;
  const int64_t at_once = blocks_for(kBytesAtOnce, 4 * dim * in.keys.tokens) * (in.queries.heads / in.keys.heads);
  const AttentionOrder order{static_cast<int>(tiles), static_cast<int>(heads), static_cast<int>(std::min(heads, at_once))};
  const Grid grid{.blocks = tiles * heads, .threads = kHopperThreads<dim>, .shared_bytes = kHopperSharedBytes<dim>};
  launch(stream, attend_hopper_kernel<dim, T, Sight>, grid, map(in.q, in.queries, kGroupQueries),
         map(in.k, in.keys, kHopperKeys), map(in.v, in.keys, kHopperKeys), order, in, sight, y, logsumexp);
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
