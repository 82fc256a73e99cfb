// The gradients of cuda/attention_tiles.cuh on tensor cores (Dao 2023, arXiv 2307.08691), by the same tiles: dq with 16
// queries a warp over tiles of keys; dk and dv the other way round, 16 keys a warp over tiles of queries. Both find
// probabilities again from the row's logsumexp, so nothing is added atomically. Probabilities and the gradients of logits
// are rounded to T before their second products; the rest is f32.
#pragma once
#include "cuda/attention_backward.cuh"
#include "cuda/attention_tiles.cuh"

namespace mglmm::cuda {

// Whether a warp has registers for its own keys and values, beside the gradients of both. Else values are in shared memory.
template <int dim>
inline constexpr bool kHoldsValues = dim < 128;

// Two tiles of queries, two of dy, twice logsumexp and level of each query, and values that are not held.
template <int dim>
constexpr int64_t key_gradient_shared_bytes() {
  const int64_t values = kHoldsValues<dim> ? 0 : kTileKeys * kTileStride<dim> * 2;
  return tiles_shared_bytes<dim>(0) + 4 * kTileQueries * static_cast<int64_t>(sizeof(float)) + values;
}

namespace {

// Rows `row` and `row + 8`, a lane's part of them, as fragments a. A row that `exists` does not know is 0.
template <int dim, typename T, typename Exists>
__device__ void load_fragments(uint32_t (&to)[dim / 16][4], const T* x, const HeadRows& layout, int64_t batch, int64_t head,
                               int64_t row, int lane, const Exists& exists) {
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const bool there = exists(row + 8 * half);
    const T* from = x + (there ? layout.offset(batch, head, row + 8 * half) + 2 * (lane % 4) : 0);
#pragma unroll
    for (int i = 0; i < dim / 8; ++i)
      to[i / 2][half + 2 * (i % 2)] = there ? *reinterpret_cast<const uint32_t*>(from + 8 * i) : 0;
  }
}

// sums * factor to the rows `row` and `row + 8`, of those that `exists` knows.
template <int dim, typename T, typename Exists>
__device__ void store_fragments(T* x, const float (&sums)[dim / 8][4], float factor, const HeadRows& layout, int64_t batch,
                                int64_t head, int64_t row, int lane, const Exists& exists) {
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    if (!exists(row + 8 * half)) continue;
    T* to = x + layout.offset(batch, head, row + 8 * half) + 2 * (lane % 4);
#pragma unroll
    for (int n = 0; n < dim / 8; ++n)
      *reinterpret_cast<uint32_t*>(to + 8 * n) = pair_of<T>(sums[n][2 * half] * factor, sums[n][2 * half + 1] * factor);
  }
}

// products += own * rows^T, of 16 rows in shared memory.
template <int dim, typename T>
__device__ __forceinline__ void multiply_rows(float (&products)[2][4], const uint32_t (&own)[dim / 16][4], const T* rows,
                                              int lane) {
  const T* const from = rows + (lane % 8 + lane / 16 * 8) * kTileStride<dim> + lane / 8 % 2 * 8;
#pragma unroll
  for (int k = 0; k < dim / 16; ++k) {
    uint32_t b[4];
    load_matrices(b, from + 16 * k);
    multiply_add<T>(products[0], own[k], {b[0], b[1]});
    multiply_add<T>(products[1], own[k], {b[2], b[3]});
  }
}

// sums += weights * rows, of 16 rows in shared memory. The weights are rounded to T.
template <int dim, typename T>
__device__ __forceinline__ void add_weighted_rows(float (&sums)[dim / 8][4], const float (&weights)[2][4], const T* rows,
                                                  int lane) {
  const uint32_t a[4] = {pair_of<T>(weights[0][0], weights[0][1]), pair_of<T>(weights[0][2], weights[0][3]),
                         pair_of<T>(weights[1][0], weights[1][1]), pair_of<T>(weights[1][2], weights[1][3])};
  const T* const from = rows + lane % 16 * kTileStride<dim> + lane / 16 * 8;
#pragma unroll
  for (int n = 0; n < dim / 16; ++n) {
    uint32_t b[4];
    load_matrices_transposed(b, from + 16 * n);
    multiply_add<T>(sums[2 * n], a, {b[0], b[1]});
    multiply_add<T>(sums[2 * n + 1], a, {b[2], b[3]});
  }
}

// sum(dy * y) of the rows of two fragments: the diagonal of dy y^T, by the same walk as dy v^T. Where a query sees one key,
// y is v, and what is subtracted is to be what it is subtracted from, to the last bit.
template <int dim, typename T>
__device__ void find_levels(float (&levels)[2], const uint32_t (&dy)[dim / 16][4], const uint32_t (&y)[dim / 16][4],
                            int lane) {
  float upper[4] = {};
  float lower[4] = {};
#pragma unroll
  for (int k = 0; k < dim / 16; ++k) {
    multiply_add<T>(upper, dy[k], {y[k][0], y[k][2]});
    multiply_add<T>(lower, dy[k], {y[k][1], y[k][3]});
  }
  const int row = lane / 4;
  levels[0] = __shfl_sync(kAllLanes, row % 2 == 0 ? upper[0] : upper[1], row / 2, 4);
  levels[1] = __shfl_sync(kAllLanes, row % 2 == 0 ? lower[2] : lower[3], row / 2, 4);
}

// Blocks along x: tiles of queries, those that see most first; y: heads; z: batch. Writes `levels` [batch, heads, queries],
// and dq unless that is null.
template <int dim, typename T, typename Sight>
__global__ void __launch_bounds__(kAttentionThreads, kTileBlocks<dim>)
    query_gradient_tiles_kernel(AttentionInputs<T> in, Sight sight, const T* dy, const T* y, const float* logsumexp,
                                float* levels, T* dq) {
  constexpr int kTile = kTileKeys * kTileStride<dim>;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int warp = static_cast<int>(threadIdx.x) / 32;
  const int64_t batch = blockIdx.z;
  const int64_t head = blockIdx.y;
  const int64_t kv_head = head / (in.queries.heads / in.keys.heads);
  const int64_t first_query = static_cast<int64_t>(gridDim.x - 1 - blockIdx.x) * kTileQueries;
  const int64_t own_query = first_query + 16 * warp + lane / 4;  // and the one 8 below
  const int64_t index = (batch * in.queries.heads + head) * in.queries.tokens + own_query;
  const auto query_exists = [&](int64_t query) { return query < in.queries.tokens; };

  uint32_t own_q[dim / 16][4];
  uint32_t own_dy[dim / 16][4];
  float own_levels[2];
  load_fragments<dim>(own_dy, dy, in.results, batch, head, own_query, lane, query_exists);
  load_fragments<dim>(own_q, y, in.results, batch, head, own_query, lane, query_exists);
  find_levels<dim, T>(own_levels, own_dy, own_q, lane);
  for (int i = 0; i < 2; ++i) {
    if (lane % 4 == 0 && query_exists(own_query + 8 * i)) levels[index + 8 * i] = own_levels[i];
  }
  if (dq == nullptr) return;
  load_fragments<dim>(own_q, in.q, in.queries, batch, head, own_query, lane, query_exists);

  int seen[2];
  float base[2];
  for (int i = 0; i < 2; ++i) {
    const bool exists = query_exists(own_query + 8 * i);
    seen[i] = exists ? static_cast<int>(sight.keys(batch, own_query + 8 * i)) : 0;
    base[i] = exists ? logsumexp[index + 8 * i] * kLog2E : 0.0F;
  }
  const int64_t last_query = first_query + kTileQueries < in.queries.tokens ? first_query + kTileQueries : in.queries.tokens;
  const int end = static_cast<int>(sight.keys(batch, last_query - 1));

  T* const key_tiles = dynamic_shared<T>();
  T* const value_tiles = key_tiles + 2 * kTile;
  const auto copy_tiles = [&](int first, int which) {
    const int rows = end - first;
    const auto exists = [&](int row) { return row < rows && !(sight.hides_some && sight.hides(batch, first + row)); };
    copy_tile<dim>(key_tiles + which * kTile, in.k, in.keys, batch, kv_head, first, exists);
    copy_tile<dim>(value_tiles + which * kTile, in.v, in.keys, batch, kv_head, first, exists);
    commit_copies();
  };
  const float scale = in.scale * kLog2E;
  float sums[dim / 8][4] = {};
  if (end > 0) copy_tiles(0, 0);
  for (int first = 0; first < end; first += kTileKeys) {
    const int which = first / kTileKeys % 2;
    if (first + kTileKeys < end) {
      copy_tiles(first + kTileKeys, 1 - which);
      wait_for_copies<1>();
    } else {
      wait_for_copies<0>();
    }
    __syncthreads();

#pragma unroll
    for (int row = 0; row < kTileKeys; row += 16) {
      const T* const keys = key_tiles + which * kTile + row * kTileStride<dim>;
      const T* const values = value_tiles + which * kTile + row * kTileStride<dim>;
      float logits[2][4] = {};
      float gradients[2][4] = {};  // of probabilities, then of logits
      multiply_rows<dim>(logits, own_q, keys, lane);
      multiply_rows<dim>(gradients, own_dy, values, lane);
#pragma unroll
      for (int n = 0; n < 2; ++n) {
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          const float p = power_of_2(logits[n][i] * scale - base[i / 2]);
          gradients[n][i] = p * (gradients[n][i] - own_levels[i / 2]);
        }
      }
      if (first + kTileKeys > (seen[0] < seen[1] ? seen[0] : seen[1]) || sight.hides_some) {
#pragma unroll
        for (int n = 0; n < 2; ++n) {
#pragma unroll
          for (int i = 0; i < 4; ++i) {
            const int place = row + 8 * n + 2 * (lane % 4) + i % 2;
            if (place >= seen[i / 2] - first || sight.hides(batch, first + place)) gradients[n][i] = 0.0F;
          }
        }
      }
      add_weighted_rows<dim>(sums, gradients, keys, lane);
    }
    __syncthreads();  // before the tile is copied over
  }
  store_fragments<dim>(dq, sums, in.scale, in.queries, batch, head, own_query, lane, query_exists);
}

// Blocks along x: tiles of keys; y: heads of keys; z: batch. Each over the queries of all heads that share the keys, tile by
// tile. dk or dv may be null.
template <int dim, typename T, typename Sight>
__global__ void __launch_bounds__(kAttentionThreads)
    key_gradient_tiles_kernel(AttentionInputs<T> in, Sight sight, AttentionUpstream<T> up, T* dk, T* dv) {
  static_assert(kAttentionThreads == 2 * kTileQueries, "a thread a number of a tile's queries");
  constexpr int kTile = kTileKeys * kTileStride<dim>;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int warp = static_cast<int>(threadIdx.x) / 32;
  const int64_t batch = blockIdx.z;
  const int64_t kv_head = blockIdx.y;
  const auto group = static_cast<int>(in.queries.heads / in.keys.heads);
  const int64_t first_key = static_cast<int64_t>(blockIdx.x) * kTileKeys;
  const int64_t own_key = first_key + 16 * warp + lane / 4;  // and the one 8 below
  const auto queries = static_cast<int>(in.queries.tokens);
  const auto is_seen = [&](int64_t key) { return key < in.keys.tokens && !sight.hides(batch, key); };

  uint32_t own_k[dim / 16][4];
  uint32_t own_v[dim / 16][4];
  load_fragments<dim>(own_k, in.k, in.keys, batch, kv_head, own_key, lane, is_seen);
  if constexpr (kHoldsValues<dim>) load_fragments<dim>(own_v, in.v, in.keys, batch, kv_head, own_key, lane, is_seen);
  int seen_from[2];
  for (int i = 0; i < 2; ++i)
    seen_from[i] = static_cast<int>(is_seen(own_key + 8 * i) ? sight.first_query(own_key + 8 * i) : queries);

  T* const query_tiles = dynamic_shared<T>();
  T* const upstream_tiles = query_tiles + 2 * kTile;
  float* const numbers = reinterpret_cast<float*>(upstream_tiles + 2 * kTile);  // logsumexp, then levels, of two tiles
  T* const value_tile = reinterpret_cast<T*>(numbers + 2 * kAttentionThreads);  // unless values are held
  const int begin = static_cast<int>(sight.first_query(first_key) / kTileQueries) * kTileQueries;
  const int tiles = (queries - begin + kTileQueries - 1) / kTileQueries;
  const auto head_of = [&](int step) { return kv_head * group + step / tiles; };
  const auto first_of = [&](int step) { return begin + step % tiles * kTileQueries; };
  const auto copy_tiles = [&](int step, int which) {
    const int rows = queries - first_of(step);
    const auto exists = [&](int row) { return row < rows; };
    copy_tile<dim>(query_tiles + which * kTile, in.q, in.queries, batch, head_of(step), first_of(step), exists);
    copy_tile<dim>(upstream_tiles + which * kTile, up.dy, in.results, batch, head_of(step), first_of(step), exists);
    commit_copies();
  };
  const auto own_number = [&](int step) {
    const bool is_level = threadIdx.x >= kTileQueries;
    const int query = first_of(step) + static_cast<int>(threadIdx.x) % kTileQueries;
    if (query >= queries) return is_level ? 0.0F : -Larger::kNone;  // it sees nothing
    const int64_t index = (batch * in.queries.heads + head_of(step)) * queries + query;
    return is_level ? up.levels[index] : up.logsumexp[index] * kLog2E;
  };
  const float scale = in.scale * kLog2E;
  float key_sums[dim / 8][4] = {};
  float value_sums[dim / 8][4] = {};
  const int steps = group * tiles;
  if (steps > 0) {
    if constexpr (!kHoldsValues<dim>)
      copy_tile<dim>(value_tile, in.v, in.keys, batch, kv_head, first_key,
                     [&](int row) { return is_seen(first_key + row); });
    copy_tiles(0, 0);
    numbers[threadIdx.x] = own_number(0);
  }
  for (int step = 0; step < steps; ++step) {
    const int which = step % 2;
    float next_number = 0;
    if (step + 1 < steps) {
      copy_tiles(step + 1, 1 - which);
      next_number = own_number(step + 1);
      wait_for_copies<1>();
    } else {
      wait_for_copies<0>();
    }
    __syncthreads();

    const int first = first_of(step);
    const float* const bases = numbers + which * kAttentionThreads;
    const float* const levels = bases + kTileQueries;
#pragma unroll 1  // heads of 128 numbers leave no register for more
    for (int row = 0; row < kTileQueries; row += 16) {
      const T* const q = query_tiles + which * kTile + row * kTileStride<dim>;
      const T* const dy = upstream_tiles + which * kTile + row * kTileStride<dim>;
      float probabilities[2][4] = {};  // logits at first
      float gradients[2][4] = {};      // of probabilities, then of logits
      multiply_rows<dim>(probabilities, own_k, q, lane);
      if constexpr (!kHoldsValues<dim>) {
#pragma unroll
        for (int k = 0; k < dim / 16; ++k)
          load_matrices(own_v[k], value_tile + (16 * warp + lane % 16) * kTileStride<dim> + 16 * k + lane / 16 * 8);
      }
      multiply_rows<dim>(gradients, own_v, dy, lane);
#pragma unroll
      for (int n = 0; n < 2; ++n) {
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          const int place = row + 8 * n + 2 * (lane % 4) + i % 2;
          const bool visible = place >= seen_from[i / 2] - first;
          const float p = power_of_2(probabilities[n][i] * scale - bases[place]);
          probabilities[n][i] = visible ? p : 0.0F;
          gradients[n][i] = visible ? p * (gradients[n][i] - levels[place]) : 0.0F;
        }
      }
      add_weighted_rows<dim>(value_sums, probabilities, dy, lane);
      add_weighted_rows<dim>(key_sums, gradients, q, lane);
    }
    numbers[(1 - which) * kAttentionThreads + threadIdx.x] = next_number;
    __syncthreads();  // before the tile is copied over
  }
  const auto exists = [&](int64_t key) { return key < in.keys.tokens; };
  if (dk != nullptr) store_fragments<dim>(dk, key_sums, in.scale, in.keys, batch, kv_head, own_key, lane, exists);
  if (dv != nullptr) store_fragments<dim>(dv, value_sums, 1.0F, in.keys, batch, kv_head, own_key, lane, exists);
}

}  // namespace

template <int dim, typename T, typename Sight>
void attend_backward_tiles_of(CudaStream& stream, int64_t batch, const AttentionInputs<T>& in, const Sight& sight,
                              const T* dy, const T* y, const float* logsumexp, T* dq, T* dk, T* dv) {
  float* levels = stream.scratch_of<float>(batch * in.queries.heads * in.queries.tokens);
  const auto grid = [&](const HeadRows& rows, int64_t bytes) {
    const int64_t tiles = blocks_for(rows.tokens, kTileQueries);
    return Grid{.blocks = tiles, .threads = kAttentionThreads, .y = rows.heads, .z = batch, .shared_bytes = bytes};
  };
  launch(stream, query_gradient_tiles_kernel<dim, T, Sight>, grid(in.queries, tiles_shared_bytes<dim>(0)), in, sight, dy, y,
         logsumexp, levels, dq);
  if (dk == nullptr && dv == nullptr) return;
  static_assert(key_gradient_shared_bytes<dim>() <= kMostSharedBytes);
  const AttentionUpstream<T> up{dy, logsumexp, levels};
  launch(stream, key_gradient_tiles_kernel<dim, T, Sight>, grid(in.keys, key_gradient_shared_bytes<dim>()), in, sight, up,
         dk, dv);
}

// False where `in` is not for tensor cores. Each of dq, dk, dv may be null.
template <typename T, typename Sight>
bool attend_backward_tiles(CudaStream& stream, int64_t batch, const AttentionInputs<T>& in, const Sight& sight, const T* dy,
                           const T* y, const float* logsumexp, T* dq, T* dk, T* dv) {
  if (!aligned(dy, dq, dk, dv)) return false;
  return by_tile_dim(in, y, [&](auto dim) {
    attend_backward_tiles_of<dim.value>(stream, batch, in, sight, dy, y, logsumexp, dq, dk, dv);
    return true;
  });
}

// On tensor cores where that can be.
template <typename T, typename Sight>
void attend_backward(CudaStream& stream, int64_t batch, const AttentionInputs<T>& in, const Sight& sight, const T* dy,
                     const T* y, const float* logsumexp, T* dq, T* dk, T* dv) {
  if (!attend_backward_tiles(stream, batch, in, sight, dy, y, logsumexp, dq, dk, dv))
    attend_backward_by_warps<T, Sight>(stream, batch, in, sight, dy, y, logsumexp, dq, dk, dv, nullptr);
}

}  // namespace mglmm::cuda
