// Attention on tensor cores (Dao 2023, arXiv 2307.08691): 16 queries a warp, 64 a block, over tiles of 64 keys that are
// copied while the tile before is worked on. For bf16 and f16, and head sizes of whole fragments. The probabilities are
// rounded to T before they meet v; sums, maxima and what they are divided by are f32. Sight is that of cuda/attention.cuh.
//
// Keys may be split in pieces of kSplitKeys, a block each, whose results are put together by another kernel: what a query
// gets depends on nothing but the keys it sees, however many queries come along.
#pragma once
#include <limits>

#include "cuda/tile_bias.cuh"
#include "cuda/tile_copies.cuh"

namespace mglmm::cuda {

inline constexpr int64_t kSplitKeys = 256;
// Of a block, on every GPU that is compiled for, beside what its kernel names itself.
inline constexpr int64_t kMostSharedBytes = 98 << 10;

// Where results go: to y, or, of a query that sees more keys than a piece has, in parts.
template <typename T>
struct TileResults {
  T* y;
  float* logsumexp;  // [batch, heads, queries], or null
  int64_t splits;    // pieces; 1: all keys are one
  float* sums;       // [batch, heads, queries, splits, dim]
  float2* totals;    // [batch, heads, queries, splits]  the largest logit in units of ln 2, and the sum beside it
};

// Blocks that a multiprocessor has at once, at least: more of them would not have the registers.
template <int dim>
inline constexpr int kTileBlocks = dim < 80 ? 3 : 2;

// Two tiles of keys, two of values, and the bias of each query, `places` numbers.
template <int dim>
constexpr int64_t tiles_shared_bytes(int64_t places) {
  static_assert(kTileKeys == kTileQueries && kSplitKeys % kTileKeys == 0);
  return 4 * kTileKeys * kTileStride<dim> * 2 + kTileQueries * places * static_cast<int64_t>(sizeof(float));
}

namespace {

// Blocks along x: tiles of queries, for each all pieces of keys; y: heads; z: batch. by_rows: each tile of keys is a row of
// the map, of which a query has one number, and toward its columns the same as in all others, in registers, which leaves too
// few of them for a third block.
template <int dim, bool by_rows, typename T, typename Keys, typename Queries, typename Sight>
__global__ void __launch_bounds__(kAttentionThreads, by_rows ? 2 : kTileBlocks<dim>)
    attend_tiles_kernel(AttentionInputs<T, Keys, Queries> in, Sight sight, TileResults<T> out) {
  begin_early();
  constexpr int kSteps = dim / 16;  // fragments along a row
  constexpr int kBlocks = dim / 8;  // fragments of a result
  constexpr int kTile = kTileKeys * kTileStride<dim>;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int warp = static_cast<int>(threadIdx.x) / 32;
  const int64_t batch = blockIdx.z;
  const int64_t head = blockIdx.y;
  const int64_t kv_head = head / (in.queries.heads / in.keys.heads);
  const int64_t split = blockIdx.x % out.splits;
  const int64_t first_query = blockIdx.x / out.splits * kTileQueries;
  const int64_t own_query = first_query + 16 * warp + lane / 4;  // and the one 8 below
  if (first_query >= in.queries.count(batch)) return;
  const bool idle = first_query + 16 * warp >= in.queries.count(batch);  // a warp that only copies
  const int first_key = out.splits == 1 ? 0 : static_cast<int>(split * kSplitKeys);
  const int64_t places = bias_places(sight);
  auto* memory = dynamic_shared<T>();
  T* const key_tiles = memory;
  T* const value_tiles = memory + 2 * kTile;
  float* const bias = reinterpret_cast<float*>(memory + 4 * kTile) + 16 * warp * places;

  int seen[2];
  for (int i = 0; i < 2; ++i)
    seen[i] = own_query + 8 * i < in.queries.count(batch) ? static_cast<int>(sight.keys(batch, own_query + 8 * i)) : 0;
  // As f32: a head has fewer than 2^24 keys.
  const auto all_see = static_cast<int>(block_max(static_cast<float>(seen[0] > seen[1] ? seen[0] : seen[1])));
  const int piece_end = first_key + static_cast<int>(kSplitKeys);
  const int end = out.splits > 1 && piece_end < all_see ? piece_end : all_see;
  if (split > 0 && first_key >= end) return;

  const KeyPackets<dim, Keys> packets(in.keys, batch);
  const auto copy_tiles = [&](int first, int which) {
    const int rows = end - first;
    packets.copy(key_tiles + which * kTile, value_tiles + which * kTile, in.k, in.v, in.keys, batch, kv_head, first,
                 [&](int row) { return row < rows && !(sight.hides_some && sight.hides(batch, first + row)); });
  };

  // Queries, by way of a tile that is free yet.
  uint32_t q[kSteps][4];
  copy_tile<dim>(key_tiles + kTile, in.q, in.queries, batch, head, first_query,
                 [&](int row) { return first_query + row < in.queries.count(batch); });
  commit_copies();
  if (first_key < end) copy_tiles(first_key, 0);
  commit_copies();
  wait_for_copies<1>();
  __syncthreads();
#pragma unroll
  for (int k = 0; k < kSteps; ++k)
    load_matrices(q[k], key_tiles + kTile + (16 * warp + lane % 16) * kTileStride<dim> + 16 * k + lane / 16 * 8);
  float toward_columns[by_rows ? kTileKeys / 8 : 1][4] = {};
  if constexpr (Sight::kBiased) {
    if (!idle) {
      const int64_t first = first_query + 16 * warp;
      find_tile_bias<dim>(bias, places, q, sight.by_row, static_cast<int>(sight.rows), first, lane,
                          [&](int64_t query) { return in.queries.token(batch, query) / sight.columns; });
      find_tile_bias<dim>(bias + bias_columns(sight), places, q, sight.by_column, static_cast<int>(sight.columns), first,
                          lane, [&](int64_t query) { return in.queries.token(batch, query) % sight.columns; });
      __syncwarp();
      if constexpr (by_rows) {
        const QueryBias own(bias, sight, lane);
#pragma unroll
        for (int n = 0; n < kTileKeys / 8; ++n) {
#pragma unroll
          for (int i = 0; i < 4; ++i) toward_columns[n][i] = own.toward_columns[i / 2][8 * n + 2 * (lane % 4) + i % 2];
        }
      }
    }
  }

  // Of logits, which a bias, in units of ln 2, gives these units.
  const float scale = in.scale * kLog2E;
  const float softmax_scale = Sight::kBiased ? 1.0F : scale;
  OnlineSoftmax softmax;
  float sums[kBlocks][4] = {};
  int which = 0;
  for (int first = first_key; first < end; first += kTileKeys, which = 1 - which) {
    wait_for_copies<0>();
    __syncthreads();  // and nobody reads the tile before, or the queries
    if (first + kTileKeys < end) copy_tiles(first + kTileKeys, 1 - which);
    commit_copies();
    if (idle) continue;

    const T* const keys = key_tiles + which * kTile;
    float logits[kTileKeys / 8][4] = {};
#pragma unroll
    for (int k = 0; k < kSteps; ++k) {
#pragma unroll
      for (int n = 0; n < kTileKeys / 16; ++n) {
        uint32_t b[4];
        load_matrices(b, keys + (16 * n + lane % 8 + lane / 16 * 8) * kTileStride<dim> + 16 * k + lane / 8 % 2 * 8);
        multiply_add<T>(logits[2 * n], q[k], {b[0], b[1]});
        multiply_add<T>(logits[2 * n + 1], q[k], {b[2], b[3]});
      }
    }
    if constexpr (by_rows) {
#pragma unroll
      for (int n = 0; n < kTileKeys / 8; ++n) {
#pragma unroll
        for (int i = 0; i < 4; ++i) logits[n][i] = fmaf(logits[n][i], scale, toward_columns[n][i]);
      }
    } else if constexpr (Sight::kBiased) {
      add_tile_bias(logits, scale, bias, sight, first, lane);
    }
    if (first + kTileKeys > (seen[0] < seen[1] ? seen[0] : seen[1]) || sight.hides_some) {
#pragma unroll
      for (int n = 0; n < kTileKeys / 8; ++n) {
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          const int place = 8 * n + 2 * (lane % 4) + i % 2;
          if (place >= seen[i / 2] - first || sight.hides(batch, first + place)) logits[n][i] = Larger::kNone;
        }
      }
    }
    // What is toward the row is taken from the largest instead, and comes back to it.
    float toward_row[2] = {}, before[2], without[2];
    if constexpr (by_rows) {
      const QueryBias own(bias, sight, lane);
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        toward_row[i] = own.toward_rows[i][first / kTileKeys];
        before[i] = softmax.largest[i];
        without[i] = softmax.largest[i] -= toward_row[i];
      }
    }
    softmax.raise(logits, softmax_scale);
    if (softmax.has_risen()) softmax.rescale(sums);
    softmax.exponentiate(logits, softmax_scale);
    if constexpr (by_rows) {
#pragma unroll
      for (int i = 0; i < 2; ++i)
        softmax.largest[i] = softmax.largest[i] == without[i] ? before[i] : softmax.largest[i] + toward_row[i];
    }
    const T* const values = value_tiles + which * kTile;
#pragma unroll
    for (int k = 0; k < kTileKeys / 16; ++k) {
      uint32_t p[4];
      probabilities<T>(p, logits, k);
#pragma unroll
      for (int n = 0; n < kSteps; ++n) {
        uint32_t b[4];
        load_matrices_transposed(b, values + (16 * k + lane % 16) * kTileStride<dim> + 16 * n + lane / 16 * 8);
        multiply_add<T>(sums[2 * n], p, {b[0], b[1]});
        multiply_add<T>(sums[2 * n + 1], p, {b[2], b[3]});
      }
    }
  }

  const float totals[2] = {softmax.sum(0), softmax.sum(1)};  // by all lanes, before some go on
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    const int64_t query = own_query + 8 * i;
    if (query >= in.queries.count(batch)) continue;
    const int64_t index = (batch * in.queries.heads + head) * in.queries.tokens + in.queries.token(batch, query);
    if (out.splits > 1 && seen[i] > kSplitKeys) {
      if (first_key >= seen[i]) continue;
      float* to = out.sums + (index * out.splits + split) * dim + 2 * (lane % 4);
#pragma unroll
      for (int n = 0; n < kBlocks; ++n) *reinterpret_cast<float2*>(to + 8 * n) = {sums[n][2 * i], sums[n][2 * i + 1]};
      if (lane % 4 == 0) out.totals[index * out.splits + split] = {softmax.largest[i], totals[i]};
      continue;
    }
    if (split > 0) continue;
    store_query(out.y + in.results.offset(batch, head, query), out.logsumexp == nullptr ? nullptr : out.logsumexp + index,
                sums, i, softmax.largest[i], totals[i]);
  }
}

// Puts the pieces of a query together that has several: a warp a query.
template <int dim, typename T, typename Keys, typename Queries, typename Sight>
__global__ void __launch_bounds__(kAttentionThreads)
    join_splits_kernel(AttentionInputs<T, Keys, Queries> in, Sight sight, TileResults<T> out) {
  begin_early();
  const int64_t query = static_cast<int64_t>(blockIdx.x) * kAttentionWarps + threadIdx.x / 32;
  if (query >= in.queries.tokens) return;
  const int64_t seen = sight.keys(blockIdx.z, query);
  if (seen <= kSplitKeys) return;
  const auto pieces = static_cast<int>((seen + kSplitKeys - 1) / kSplitKeys);
  const int64_t index = ((blockIdx.z * in.queries.heads + blockIdx.y) * in.queries.tokens + query) * out.splits;
  float largest = Larger::kNone;
  for (int piece = 0; piece < pieces; ++piece) largest = Larger::of(largest, out.totals[index + piece].x);
  const float base = largest == Larger::kNone ? 0.0F : largest;
  float total = 0;
  for (int piece = 0; piece < pieces; ++piece)
    total += out.totals[index + piece].y * power_of_2(out.totals[index + piece].x - base);
  T* to = out.y + in.results.offset(blockIdx.z, blockIdx.y, query);
  for (int i = static_cast<int>(threadIdx.x) % 32; i < dim; i += 32) {
    float sum = 0;
    for (int piece = 0; piece < pieces; ++piece)
      sum += out.sums[(index + piece) * dim + i] * power_of_2(out.totals[index + piece].x - base);
    put(to[i], total == 0.0F ? 0.0F : sum / total);
  }
}

}  // namespace

// False where a block would need more shared memory than it gets, where a tile's rows lie too far apart, where a map's
// columns are odd, and where the tables of distances cannot be read by pairs.
template <int dim, typename T, typename Keys, typename Queries, typename Sight>
bool attend_tiles_of(CudaStream& stream, int64_t batch, const AttentionInputs<T, Keys, Queries>& in, const Sight& sight,
                     bool split, T* y, float* logsumexp) {
  const int64_t shared_bytes = tiles_shared_bytes<dim>(bias_places(sight));
  if (shared_bytes > kMostSharedBytes || sight.columns % 2 != 0) return false;
  if (in.keys.token_stride > std::numeric_limits<int>::max() / kTileKeys - dim) return false;
  if constexpr (Sight::kBiased) {
    const auto places = reinterpret_cast<uintptr_t>(sight.by_row) | reinterpret_cast<uintptr_t>(sight.by_column);
    if (places % sizeof(uint32_t) != 0) return false;
  }
  const HeadRows& queries = in.queries;
  const int64_t splits = split ? blocks_for(in.keys.tokens, kSplitKeys) : 1;
  TileResults<T> out{y, logsumexp, splits, nullptr, nullptr};
  if (splits > 1) {
    const int64_t parts = batch * queries.heads * queries.tokens * splits;
    out.sums = stream.scratch_of<float>(parts * dim);
    out.totals = stream.scratch_of<float2>(parts);
  }
  const auto grid = [&](int64_t blocks, int64_t bytes) {
    return Grid{.blocks = blocks,
                .threads = kAttentionThreads,
                .y = queries.heads,
                .z = batch,
                .shared_bytes = bytes,
                .early = true};
  };
  const auto launch_tiles = [&](auto by_rows) {
    launch(stream, attend_tiles_kernel<dim, by_rows.value, T, Keys, Queries, Sight>,
           grid(blocks_for(queries.tokens, kTileQueries) * splits, shared_bytes), in, sight, out);
  };
  if constexpr (Sight::kBiased) {
    if (sight.columns == kTileKeys)
      launch_tiles(std::true_type{});
    else
      launch_tiles(std::false_type{});
  } else {
    launch_tiles(std::false_type{});
  }
  if (splits > 1) {
    launch(stream, join_splits_kernel<dim, T, Keys, Queries, Sight>, grid(blocks_for(queries.tokens, kAttentionWarps), 0),
           in, sight, out);
  }
  return true;
}

// What `body(std::integral_constant)` gives for the size of a head; false where `in` and `y` are not for tensor cores.
template <typename T, typename Keys, typename Queries, typename Body>
bool by_tile_dim(const AttentionInputs<T, Keys, Queries>& in, const T* y, Body&& body) {
  if constexpr (sizeof(T) == 2) {
    if (!aligned(in.q, in.k, in.v, y)) return false;
    if (!in.queries.in_packets() || !in.keys.in_packets() || !in.results.in_packets()) return false;
    switch (in.queries.dim) {
      case 16: return body(std::integral_constant<int, 16>{});
      case 32: return body(std::integral_constant<int, 32>{});
      case 64: return body(std::integral_constant<int, 64>{});
      case 80: return body(std::integral_constant<int, 80>{});
      case 128: return body(std::integral_constant<int, 128>{});
      default: return false;
    }
  }
  return false;
}

// False where `in` is not for tensor cores.
template <typename T, typename Keys, typename Queries, typename Sight>
bool attend_tiles(CudaStream& stream, int64_t batch, const AttentionInputs<T, Keys, Queries>& in, const Sight& sight,
                  bool split, T* y, float* logsumexp) {
  return by_tile_dim(in, y,
                     [&](auto dim) { return attend_tiles_of<dim.value>(stream, batch, in, sight, split, y, logsumexp); });
}

// On tensor cores where that can be. @param split - whether keys are split in pieces.
template <typename T, typename Keys, typename Queries, typename Sight>
void attend(CudaStream& stream, int64_t batch, const AttentionInputs<T, Keys, Queries>& in, const Sight& sight, T* y,
            float* logsumexp, bool split = false) {
  if (!attend_tiles(stream, batch, in, sight, split, y, logsumexp)) attend_by_warps(stream, batch, in, sight, y, logsumexp);
}

}  // namespace mglmm::cuda
