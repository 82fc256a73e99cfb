// What SAM's attention adds to the logits of a tile (cuda/attention_tiles.cuh): of each query a number toward each row and
// each column of the map, by the distance to it.
#pragma once
#include "cuda/online_softmax.cuh"
#include "cuda/tile_copies.cuh"

namespace mglmm::cuda {

namespace {

// Of a query's bias in shared memory, in numbers: what it has toward rows, from the next even place on toward columns.
template <typename Sight>
__host__ __device__ __forceinline__ int64_t bias_columns(const Sight& sight) {
  return sight.rows + sight.rows % 2;
}
// The numbers of the next query come behind as many places; of a multiple of 16 the eight queries that a warp reads at a
// time would lie in two banks or one.
__host__ __device__ constexpr int64_t in_all_banks(int64_t places) {
  return places > 0 && places % 16 == 0 ? places + 8 : places;
}
template <typename Sight>
__host__ __device__ __forceinline__ int64_t bias_places(const Sight& sight) {
  return in_all_banks(bias_columns(sight) + sight.columns);
}

// The bias of the two queries of a lane, of that of its warp.
struct QueryBias {
  const float *toward_rows[2], *toward_columns[2];
  template <typename Sight>
  __device__ __forceinline__ QueryBias(const float* bias, const Sight& sight, int lane) {
    const int places = static_cast<int>(bias_places(sight));
#pragma unroll
    for (int which = 0; which < 2; ++which) {
      toward_rows[which] = bias + (lane / 4 + 8 * which) * places;
      toward_columns[which] = toward_rows[which] + bias_columns(sight);
    }
  }
};

// Logits, times `scale`, with what the two queries of a lane have toward the keys of a tile; of keys beyond the map, which
// no query sees, what the last ones have. `bias` is that of the warp. Two neighbours are in one row, as `columns` is even.
template <typename Sight>
__device__ __forceinline__ void add_tile_bias(float (&logits)[kTileKeys / 8][4], float scale, const float* bias,
                                              const Sight& sight, int first, int lane) {
  const int columns = static_cast<int>(sight.columns);
  const int last = static_cast<int>(sight.rows) * columns - 2;
  const QueryBias own(bias, sight, lane);
#pragma unroll
  for (int n = 0; n < kTileKeys / 8; ++n) {
    int key = first + 8 * n + 2 * (lane % 4);
    if (key > last) key = last;
    const int row = static_cast<int>((static_cast<float>(key) + 0.5F) * sight.part_of_row);
#pragma unroll
    for (int which = 0; which < 2; ++which) {
      const float toward_row = own.toward_rows[which][row];
      const float2 toward = *reinterpret_cast<const float2*>(own.toward_columns[which] + key - row * columns);
      logits[n][2 * which] = fmaf(logits[n][2 * which], scale, toward_row + toward.x);
      logits[n][2 * which + 1] = fmaf(logits[n][2 * which + 1], scale, toward_row + toward.y);
    }
  }
}

// What the queries of a warp have toward the rows of a table of distances, times log2 e, into `bias`, `places` numbers a
// query: for distance d the place `at(query) - d + extent - 1`.
template <int dim, typename T, typename At>
__device__ void find_tile_bias(float* bias, int64_t places, const uint32_t (&q)[dim / 16][4], const T* table, int extent,
                               int64_t first_query, int lane, const At& at) {
  const float own[2] = {static_cast<float>(at(first_query + lane / 4)), static_cast<float>(at(first_query + lane / 4 + 8))};
  // No query has a place at another distance: places are 0 ... extent - 1.
  const auto nearest = static_cast<int>(-reduce_warp<Larger>(-own[0] > -own[1] ? -own[0] : -own[1]));
  const auto farthest = static_cast<int>(reduce_warp<Larger>(own[0] > own[1] ? own[0] : own[1])) + extent - 1;
  const int last = farthest < 2 * extent - 2 ? farthest : 2 * extent - 2;
  uint32_t ahead[dim / 16][2];
  const auto load = [&](int first) {
    const int distance = first + lane / 4;
    const T* row = table + static_cast<int64_t>(distance < last ? distance : last) * dim + 2 * (lane % 4);
#pragma unroll
    for (int k = 0; k < dim / 16; ++k) {
      ahead[k][0] = *reinterpret_cast<const uint32_t*>(row + 16 * k);
      ahead[k][1] = *reinterpret_cast<const uint32_t*>(row + 16 * k + 8);
    }
  };
  if (nearest <= last) load(nearest);
  for (int first = nearest; first <= last; first += 8) {
    uint32_t b[dim / 16][2];
#pragma unroll
    for (int k = 0; k < dim / 16; ++k) {
      b[k][0] = ahead[k][0];
      b[k][1] = ahead[k][1];
    }
    load(first + 8);
    float products[4] = {};
#pragma unroll
    for (int k = 0; k < dim / 16; ++k) multiply_add<T>(products, q[k], b[k]);
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int place = static_cast<int>(own[i / 2]) - (first + 2 * (lane % 4) + i % 2) + extent - 1;
      if (place >= 0 && place < extent) bias[(lane / 4 + 8 * (i / 2)) * places + place] = products[i] * kLog2E;
    }
  }
}

}  // namespace

}  // namespace mglmm::cuda
