// Attention of one query a warp over tiles of 32 keys, a key a lane, with a running maximum: no [queries, keys] is kept. All
// in f32. The four warps of a block share the tiles.
#pragma once
#include "cuda/number.cuh"
#include "cuda/reduce.cuh"

namespace mglmm::cuda {

inline constexpr int kAttentionWarps = 4;
inline constexpr int kAttentionThreads = 32 * kAttentionWarps;
inline constexpr int kKeys = 32;  // of a tile

// Where the rows of headDim numbers of a tensor lie: [batch, heads, tokens, headDim], or [batch, tokens, heads, headDim].
struct HeadRows {
  int64_t heads, tokens, dim;
  bool tokens_first;
  __device__ int64_t offset(int64_t batch, int64_t head, int64_t token) const {
    return (tokens_first ? (batch * tokens + token) * heads + head : (batch * heads + head) * tokens + token) * dim;
  }
};

// Rows of numbers in shared memory, one number longer than they are, so that lanes that read a column meet no bank twice.
struct SharedRows {
  float* rows;
  int64_t dim;
  __device__ float* row(int64_t index) const { return rows + index * (dim + 1); }
};

// Rows first ... first + kKeys of a head into shared memory, by the whole block; zeros beyond `end`.
template <typename T>
__device__ void load_rows(const SharedRows& to, const T* x, const HeadRows& layout, int64_t batch, int64_t head,
                          int64_t first, int64_t end) {
  for (int64_t i = threadIdx.x; i < kKeys * layout.dim; i += kAttentionThreads) {
    const int64_t token = first + i / layout.dim;
    to.row(i / layout.dim)[i % layout.dim] =
        token < end ? to_float(x[layout.offset(batch, head, token) + i % layout.dim]) : 0.0F;
  }
}

__device__ __forceinline__ float dot(const float* a, const float* b, int64_t dim) {
  float sum = 0;
  for (int64_t i = 0; i < dim; ++i) sum += a[i] * b[i];
  return sum;
}

// sums[c] += the sum over the rows of weight * row, for columns lane, lane + 32 ...
template <int chunks>
__device__ __forceinline__ void add_rows(float (&sums)[chunks], const float* weights, const SharedRows& rows, int lane) {
  for (int key = 0; key < kKeys; ++key) {
#pragma unroll
    for (int c = 0; c < chunks; ++c) {
      if (lane + 32 * c < rows.dim) sums[c] += weights[key] * rows.row(key)[lane + 32 * c];
    }
  }
}

// Of a block: two tiles, and for each warp two rows and two weights a key.
inline int64_t attention_shared_bytes(int64_t dim) {
  return (2 * kKeys * (dim + 1) + kAttentionWarps * 2 * (dim + 1 + kKeys)) * static_cast<int64_t>(sizeof(float));
}

struct AttentionShared {
  SharedRows first, second;  // tiles
  SharedRows own;            // rows 0 and 1 of the warp
  float* weights;            // two times kKeys of the warp
  __device__ AttentionShared(int64_t dim, int warp) {
    auto* memory = dynamic_shared<float>();
    first = {memory, dim};
    second = {memory + kKeys * (dim + 1), dim};
    own = {memory + (2 * kKeys + 2 * warp) * (dim + 1), dim};
    weights = memory + (2 * kKeys + 2 * kAttentionWarps) * (dim + 1) + warp * 2 * kKeys;
  }
};

// Sight: __device__ int64_t keys(int64_t batch, int64_t query) const, how many first keys a query may see at most;
//        __device__ bool hides(int64_t batch, int64_t key) const, one of them all the same;
//        keys_of_all, no query sees more.
// Blocks along x: query tiles; y: heads; z: batch.
template <int chunks, typename T, typename Sight>
__global__ void __launch_bounds__(kAttentionThreads)
    attend_kernel(HeadRows queries, HeadRows keys, float scale, Sight sight, const T* q, const T* k, const T* v, T* y,
                  float* logsumexp) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int warp = static_cast<int>(threadIdx.x) / 32;
  const int64_t dim = queries.dim;
  const AttentionShared memory(dim, warp);
  const int64_t batch = blockIdx.z;
  const int64_t head = blockIdx.y;
  const int64_t kv_head = head / (queries.heads / keys.heads);
  const int64_t first_query = static_cast<int64_t>(blockIdx.x) * kAttentionWarps;
  const int64_t query = first_query + warp;
  const bool exists = query < queries.tokens;
  if (exists) {
    for (int64_t i = lane; i < dim; i += 32)
      memory.own.row(0)[i] = to_float(q[queries.offset(batch, head, query) + i]) * scale;
  }
  const int64_t seen = exists ? sight.keys(batch, query) : 0;
  int64_t seen_by_block = 0;
  for (int64_t other = first_query; other < first_query + kAttentionWarps && other < queries.tokens; ++other) {
    const int64_t count = sight.keys(batch, other);
    seen_by_block = count > seen_by_block ? count : seen_by_block;
  }
  float largest = Larger::kNone;
  float total = 0;
  float sums[chunks] = {};
  for (int64_t first = 0; first < seen_by_block; first += kKeys) {
    __syncthreads();  // the tiles before are done with
    load_rows(memory.first, k, keys, batch, kv_head, first, seen_by_block);
    load_rows(memory.second, v, keys, batch, kv_head, first, seen_by_block);
    __syncthreads();
    const int64_t key = first + lane;
    const bool visible = key < seen && !sight.hides(batch, key);
    const float logit = visible ? dot(memory.own.row(0), memory.first.row(lane), dim) : Larger::kNone;
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
  const bool blind = total == 0.0F;
#pragma unroll
  for (int c = 0; c < chunks; ++c) {
    if (lane + 32 * c < dim) put(y[queries.offset(batch, head, query) + lane + 32 * c], blind ? 0.0F : sums[c] / total);
  }
  if (logsumexp != nullptr && lane == 0) {
    logsumexp[(batch * queries.heads + head) * queries.tokens + query] = blind ? -Larger::kNone : largest + logf(total);
  }
}

// Calls `body(std::integral_constant)` with the number of columns a lane has.
template <typename Body>
void by_chunks(int64_t dim, Body&& body) {
  if (dim <= 64) return body(std::integral_constant<int, 2>{});
  if (dim <= 128) return body(std::integral_constant<int, 4>{});
  return body(std::integral_constant<int, 8>{});
}

}  // namespace mglmm::cuda
