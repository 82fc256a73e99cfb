// Tiles of attention_hopper.cuh: how many there are of what, where they lie in shared memory, and the thread that loads
// them.
#pragma once
#include "cuda/hopper.cuh"

namespace mglmm::cuda {

inline constexpr int kGroupQueries = 64;
inline constexpr int kHopperKeys = 128;  // of a tile
// Groups that multiply: in heads of 64, where a tile's exponentials take as long as its products, three, so that neither
// tensor cores nor exponentials often wait for the other.
template <int dim>
inline constexpr int kGroups = dim == 64 ? 3 : 2;
template <int dim>
inline constexpr int kHopperQueries{kGroups<dim> * kGroupQueries};  // of a block
template <int dim>
inline constexpr int kConsumerWarps{4 * kGroups<dim>};
// A group of which one thread loads comes last. It gives its registers to the others: 128 or 168 a thread at first, of all
// 65536.
template <int dim>
inline constexpr int kHopperThreads{kGroupThreads * (kGroups<dim> + 1)};
inline constexpr int kLoaderRegisters = 24;
template <int dim>
inline constexpr int kConsumerRegisters = dim == 64 ? 160 : 240;
// Of barriers of threads: a group's own, and the one at which it waits for its turn.
inline constexpr int kOwnBarrier = 1;
template <int dim>
inline constexpr int kTurnBarrier{kOwnBarrier + kGroups<dim>};

// The ring has so many tiles, of keys and values both.
template <int dim>
inline constexpr int kRingTiles = dim == 64 ? 4 : 3;

// Numbers of keys, or values, of a tile.
template <int dim>
inline constexpr int kHopperTile{dim * kHopperKeys};

// Queries and ring, and what it takes to begin at a multiple of 1024.
template <int dim>
inline constexpr int64_t kHopperSharedBytes{1024 + 2 * (dim * kHopperQueries<dim> + 2 * kRingTiles<dim> * kHopperTile<dim>)};

namespace {

template <int dim>
struct RingBarriers {
  Barrier queries;
  Barrier keys[kRingTiles<dim>], values[kRingTiles<dim>];  // are there
  Barrier free_keys[kRingTiles<dim>], free_values[kRingTiles<dim>];
};

// Where a tile is in the ring, and the parity of the phase that ends when it is there.
template <int dim>
struct RingPlace {
  int slot, parity;
  __device__ __forceinline__ explicit RingPlace(uint32_t tile)
      : slot(static_cast<int>(tile % kRingTiles<dim>)), parity(static_cast<int>(tile / kRingTiles<dim> % 2)) {}
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
template <int dim>
struct HopperBlock {
  int batch, head, kv_head, first_query;
  int end;     // keys that any of its queries may see
  int groups;  // that multiply, two at least: of the last of its queries there may be fewer
  RingBarriers<dim>* barriers;
  uint16_t* memory;  // queries of all groups, keys of the ring, values of the ring
  __device__ int tiles() const { return (end + kHopperKeys - 1) / kHopperKeys; }
  __device__ uint16_t* queries(int group) const { return memory + group * kGroupQueries * dim; }
  __device__ uint16_t* keys(int slot) const { return memory + kHopperQueries<dim> * dim + slot * kHopperTile<dim>; }
  __device__ uint16_t* values(int slot) const { return keys(kRingTiles<dim> + slot); }
};

// By one thread.
template <int dim>
__device__ __forceinline__ void load_tiles(const HopperBlock<dim>& block, const HopperMaps& maps) {
  RingBarriers<dim>& barriers = *block.barriers;
  expect_bytes(&barriers.queries, 2 * kHopperQueries<dim> * dim);
  for (int group = 0; group < kGroups<dim>; ++group) {
    load_rows<dim>(block.queries(group), maps.queries, &barriers.queries, kGroupQueries,
                   block.first_query + group * kGroupQueries, block.head, block.batch);
  }
  const auto load = [&](uint16_t* to, const TensorMap& map, Barrier* there, Barrier* free, int tile) {
    wait(free, 1 - RingPlace<dim>(tile).parity);
    expect_bytes(there, 2 * kHopperTile<dim>);
    load_rows<dim>(to, map, there, kHopperKeys, tile * kHopperKeys, block.kv_head, block.batch);
  };
  for (int tile = 0; tile < block.tiles(); ++tile) {
    const int slot = RingPlace<dim>(tile).slot;
    load(block.keys(slot), maps.keys, &barriers.keys[slot], &barriers.free_keys[slot], tile);
    load(block.values(slot), maps.values, &barriers.values[slot], &barriers.free_values[slot], tile);
  }
}

}  // namespace
}  // namespace mglmm::cuda
