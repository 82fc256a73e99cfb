// Attention of one query a warp over tiles of 32 keys, a key a lane, with a running maximum: no [queries, keys] is kept. All
// in f32. The four warps of a block share the tiles.
//
// A Sight says what a query sees and what is added to its logits:
//   static constexpr bool kBiased                         whether anything is added
//   int64_t keys(int64_t batch, int64_t query) const      how many first keys the query may see at most
//   int64_t first_query(int64_t key) const                the first one that may see it; all later ones may
//   bool hides(int64_t batch, int64_t key) const          one of them all the same
//   bool hides_some                                       whether `hides` may be true
//   int64_t rows, columns                                 with a bias: the map's, of which a key is one place; else 0
//   const T* toward_row(int64_t query, int64_t row) const, toward_column(...)   with a bias: what q is multiplied with
// first_query is for gradients on tensor cores, which have no bias.
#pragma once
#include "cuda/number.cuh"
#include "cuda/reduce.cuh"

namespace mglmm::cuda {

inline constexpr int kAttentionWarps = 4;
inline constexpr int kAttentionThreads = 32 * kAttentionWarps;
inline constexpr int kKeys = 32;  // of a tile

// Where the rows of `dim` numbers of a tensor lie, in numbers.
struct HeadRows {
  static constexpr bool kWindows = false;  // true: a tile's rows lie apart, at offset(window(batch), head, row)
  int64_t heads, tokens, dim, batch_stride, head_stride, token_stride;
  // How many rows `batch` has, and which of its tokens one is.
  __device__ int64_t count(int64_t) const { return tokens; }
  __device__ int64_t token(int64_t, int64_t row) const { return row; }
  // Whether all begin at packets of 16 bytes where the tensor does, for numbers of 16 bits.
  bool in_packets() const { return batch_stride % 8 == 0 && head_stride % 8 == 0 && token_stride % 8 == 0; }
  __device__ int64_t offset(int64_t batch, int64_t head, int64_t token) const {
    return batch * batch_stride + head * head_stride + token * token_stride;
  }
};

// Of a tensor [batch, heads, tokens, headDim], or [batch, tokens, heads, headDim].
inline HeadRows head_rows(const Shape& shape, bool tokens_first) {
  const int64_t heads = shape[tokens_first ? 2 : 1];
  const int64_t tokens = shape[tokens_first ? 1 : 2];
  const int64_t dim = shape[3];
  return {heads, tokens, dim, heads * tokens * dim, dim * (tokens_first ? 1 : tokens), dim * (tokens_first ? heads : 1)};
}

// Of a cache: a row of the batch is one page of a tensor, or pages that a table names. `tokens` is what a row has room for.
struct PagedRows : HeadRows {
  const int32_t* page_table;  // [batch, row_pages], or null
  int64_t row_pages, page_tokens;
  // Rows up to the next multiple of kPageUnit follow it.
  __device__ int64_t offset(int64_t batch, int64_t head, int64_t token) const {
    if (page_table == nullptr) return HeadRows::offset(batch, head, token);
    return HeadRows::offset(page_table[batch * row_pages + token / page_tokens], head, token % page_tokens);
  }
};

template <typename T, typename Keys = HeadRows, typename Queries = HeadRows>
struct AttentionInputs {
  const T* q;
  const T* k;
  const T* v;
  Queries queries;
  Keys keys;
  Queries results;  // of y and dy
  float scale;
};

// Rows of numbers in shared memory, one number longer than they are, so that lanes that read a column meet no bank twice.
struct SharedRows {
  float* rows;
  int64_t dim;
  __device__ float* row(int64_t index) const { return rows + index * (dim + 1); }
};

// Of a block: two tiles, and for each warp two rows, two weights a key, and twice `places` numbers of a bias.
inline int64_t attention_shared_bytes(int64_t dim, int64_t places) {
  return (2 * kKeys * (dim + 1) + kAttentionWarps * 2 * (dim + 1 + kKeys + places)) * static_cast<int64_t>(sizeof(float));
}

struct AttentionShared {
  SharedRows first, second;  // tiles
  SharedRows own;            // rows 0 and 1 of the warp
  float* weights;            // two times kKeys of the warp
  float* bias;               // of the warp, rows then columns
  float* bias_sums;
  __device__ AttentionShared(int64_t dim, int64_t places, int warp) {
    auto* memory = dynamic_shared<float>();
    first = {memory, dim};
    second = {memory + kKeys * (dim + 1), dim};
    float* rest = memory + 2 * kKeys * (dim + 1) + warp * 2 * (dim + 1 + kKeys + places);
    own = {rest, dim};
    weights = rest + 2 * (dim + 1);
    bias = weights + 2 * kKeys;
    bias_sums = bias + places;
  }
};

namespace {

// The rows of a tile, from `first` on, a multiple of the tile's size: the address of each by its number in the tile.
template <typename T, typename Layout>
__device__ __forceinline__ auto tile_rows(const T* x, const Layout& layout, int64_t batch, int64_t head, int64_t first) {
  if constexpr (Layout::kWindows) {
    return [=, &layout, window = layout.window(batch)](int64_t row) { return x + layout.offset(window, head, first + row); };
  } else {
    return [&layout, tile = x + layout.offset(batch, head, first)](int64_t row) { return tile + row * layout.token_stride; };
  }
}

// Rows first ... first + kKeys of a head into shared memory, by the whole block; zeros beyond `end`. `first` is a multiple
// of kKeys, and below `end`.
template <typename T, typename Layout>
__device__ void load_rows(const SharedRows& to, const T* x, const Layout& layout, int64_t batch, int64_t head, int64_t first,
                          int64_t end) {
  const auto address = tile_rows(x, layout, batch, head, first);
  for (int64_t i = threadIdx.x; i < kKeys * layout.dim; i += blockDim.x) {
    const int64_t row = i / layout.dim;
    to.row(row)[i % layout.dim] = first + row < end ? to_float(address(row)[i % layout.dim]) : 0.0F;
  }
}

// One row, by a warp, times `factor`.
template <typename T>
__device__ void load_row(float* to, const T* from, int64_t dim, float factor, int lane) {
  for (int64_t i = lane; i < dim; i += 32) to[i] = to_float(from[i]) * factor;
}

template <typename T>
__device__ __forceinline__ float dot(const float* a, const T* b, int64_t dim) {
  float sum = 0;
  for (int64_t i = 0; i < dim; ++i) sum += a[i] * to_float(b[i]);
  return sum;
}

// sums[c] += the sum over the rows of weight * row, for columns lane, lane + 32 ...
template <int chunks>
__device__ __forceinline__ void add_rows(float (&sums)[chunks], const float* weights, const SharedRows& rows, int lane) {
  for (int key = 0; key < kKeys; ++key) {
    if (weights[key] == 0.0F) continue;  // of a hidden key, whatever it holds
#pragma unroll
    for (int c = 0; c < chunks; ++c) {
      if (lane + 32 * c < rows.dim) sums[c] += weights[key] * rows.row(key)[lane + 32 * c];
    }
  }
}

template <int chunks, typename T>
__device__ __forceinline__ void store_row(T* to, const float (&sums)[chunks], float divisor, int64_t dim, int lane) {
#pragma unroll
  for (int c = 0; c < chunks; ++c) {
    if (lane + 32 * c < dim) put(to[lane + 32 * c], sums[c] / divisor);
  }
}

// What q (times `scale` in `own`) has toward each row and column of the map.
template <typename Sight>
__device__ void find_bias(const AttentionShared& memory, const Sight& sight, int64_t query, int64_t dim, float scale,
                          int lane) {
  for (int64_t i = lane; i < sight.rows; i += 32)
    memory.bias[i] = dot(memory.own.row(0), sight.toward_row(query, i), dim) / scale;
  for (int64_t i = lane; i < sight.columns; i += 32)
    memory.bias[sight.rows + i] = dot(memory.own.row(0), sight.toward_column(query, i), dim) / scale;
  __syncwarp();
}

template <typename Sight>
__device__ __forceinline__ float bias_of(const AttentionShared& memory, const Sight& sight, int64_t key) {
  return memory.bias[key / sight.columns] + memory.bias[sight.rows + key % sight.columns];
}

// Blocks along x: tiles of queries; y: heads; z: batch.
template <int chunks, typename T, typename Keys, typename Queries, typename Sight>
__global__ void __launch_bounds__(kAttentionThreads, 4)
    attend_kernel(AttentionInputs<T, Keys, Queries> in, Sight sight, T* y, float* logsumexp) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int warp = static_cast<int>(threadIdx.x) / 32;
  const int64_t dim = in.queries.dim;
  const AttentionShared memory(dim, sight.rows + sight.columns, warp);
  const int64_t batch = blockIdx.z;
  const int64_t head = blockIdx.y;
  const int64_t kv_head = head / (in.queries.heads / in.keys.heads);
  const int64_t first_query = static_cast<int64_t>(blockIdx.x) * kAttentionWarps;
  const int64_t query = first_query + warp;
  const int64_t token = in.queries.token(batch, query);
  const int64_t queries = in.queries.count(batch);
  const bool exists = query < queries;
  if (exists) {
    load_row(memory.own.row(0), in.q + in.queries.offset(batch, head, query), dim, in.scale, lane);
    __syncwarp();
    if constexpr (Sight::kBiased) find_bias(memory, sight, token, dim, in.scale, lane);
  }
  const int64_t seen = exists ? sight.keys(batch, query) : 0;
  int64_t seen_by_block = 0;
  for (int64_t other = first_query; other < first_query + kAttentionWarps && other < queries; ++other) {
    const int64_t count = sight.keys(batch, other);
    seen_by_block = count > seen_by_block ? count : seen_by_block;
  }
  float largest = Larger::kNone;
  float total = 0;
  float sums[chunks] = {};
  for (int64_t first = 0; first < seen_by_block; first += kKeys) {
    __syncthreads();  // the tiles before are done with
    load_rows(memory.first, in.k, in.keys, batch, kv_head, first, seen_by_block);
    load_rows(memory.second, in.v, in.keys, batch, kv_head, first, seen_by_block);
    __syncthreads();
    const int64_t key = first + lane;
    const bool visible = key < seen && !(sight.hides_some && sight.hides(batch, key));
    float logit = Larger::kNone;
    if (visible) {
      logit = dot(memory.own.row(0), memory.first.row(lane), dim);
      if constexpr (Sight::kBiased) logit += bias_of(memory, sight, key);
    }
    const float above = Larger::of(largest, reduce_warp<Larger>(logit));
    const float base = above == Larger::kNone ? 0.0F : above;  // as long as there is none, or -infinity alone
    // A NaN, which the maximum passes over, comes back through its exponential.
    const float weight = visible ? expf(logit - base) : 0.0F;
    const float factor = expf(largest - base);
    total = total * factor + reduce_warp<Plus>(weight);
    largest = above;
#pragma unroll
    for (int c = 0; c < chunks; ++c) sums[c] *= factor;
    memory.weights[lane] = weight;
    __syncwarp();
    add_rows<chunks>(sums, memory.weights, memory.second, lane);
    __syncwarp();
  }
  if (!exists) return;
  const bool blind = total == 0.0F;  // and its sums are 0
  store_row<chunks>(y + in.results.offset(batch, head, query), sums, blind ? 1.0F : total, dim, lane);
  if (logsumexp != nullptr && lane == 0) {
    logsumexp[(batch * in.queries.heads + head) * in.queries.tokens + token] =
        blind ? -Larger::kNone : largest + logf(total);
  }
}

}  // namespace

// Calls `body(std::integral_constant)` with the number of columns a lane has.
template <typename Body>
void by_chunks(int64_t dim, Body&& body) {
  if (dim <= 64) return body(std::integral_constant<int, 2>{});
  if (dim <= 128) return body(std::integral_constant<int, 4>{});
  return body(std::integral_constant<int, 8>{});
}

// A warp for each token of `rows`.
template <typename Sight>
Grid attention_grid(const HeadRows& rows, int64_t batch, const Sight& sight) {
  return {.blocks = blocks_for(rows.tokens, kAttentionWarps),
          .threads = kAttentionThreads,
          .y = rows.heads,
          .z = batch,
          .shared_bytes = attention_shared_bytes(rows.dim, sight.rows + sight.columns)};
}

template <typename T, typename Keys, typename Queries, typename Sight>
void attend_by_warps(CudaStream& stream, int64_t batch, const AttentionInputs<T, Keys, Queries>& in, const Sight& sight,
                     T* y, float* logsumexp) {
  by_chunks(in.queries.dim, [&](auto chunks) {
    launch(stream, attend_kernel<chunks.value, T, Keys, Queries, Sight>, attention_grid(in.queries, batch, sight), in, sight,
           y, logsumexp);
  });
}

}  // namespace mglmm::cuda
