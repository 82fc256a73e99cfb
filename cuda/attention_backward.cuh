// The gradients of cuda/attention.cuh, by the same walk: dq with a query a warp; dk and dv the other way round, a key a warp
// over tiles of queries. Probabilities come from the row's logsumexp. Nothing is added atomically.
#pragma once
#include "cuda/attention.cuh"

namespace mglmm::cuda {

template <typename T>
struct AttentionUpstream {
  const T* dy;
  const float* logsumexp;  // [batch, heads, queries], as are `levels`
  const float* levels;     // sum(dy * y) of each query
};

namespace {

// A lane a query, by the same walk as dy * v below: where a query sees one key, y is v, and what is subtracted is to be what
// it is subtracted from, to the last bit.
template <typename T>
__global__ void __launch_bounds__(32) level_kernel(HeadRows results, const T* dy, const T* y, float* levels) {
  const SharedRows first = {dynamic_shared<float>(), results.dim};
  const SharedRows second = {first.row(kKeys), results.dim};
  const int64_t tile = static_cast<int64_t>(blockIdx.x) * kKeys;
  load_rows(first, dy, results, blockIdx.z, blockIdx.y, tile, results.tokens);
  load_rows(second, y, results, blockIdx.z, blockIdx.y, tile, results.tokens);
  __syncwarp();
  const int64_t query = tile + threadIdx.x;
  if (query >= results.tokens) return;
  levels[(blockIdx.z * results.heads + blockIdx.y) * results.tokens + query] =
      dot(first.row(threadIdx.x), second.row(threadIdx.x), results.dim);
}

// With a bias, `bias_sums` [batch, heads, queries, rows + columns] gets what each query has for each row and column of the
// map.
template <int chunks, typename T, typename Sight>
__global__ void __launch_bounds__(kAttentionThreads, 4)
    query_gradient_kernel(AttentionInputs<T> in, AttentionUpstream<T> up, Sight sight, T* dq, float* bias_sums) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int warp = static_cast<int>(threadIdx.x) / 32;
  const int64_t dim = in.queries.dim;
  const int64_t places = sight.rows + sight.columns;
  const AttentionShared memory(dim, places, warp);
  const int64_t batch = blockIdx.z;
  const int64_t head = blockIdx.y;
  const int64_t kv_head = head / (in.queries.heads / in.keys.heads);
  const int64_t query = static_cast<int64_t>(blockIdx.x) * kAttentionWarps + warp;
  const bool exists = query < in.queries.tokens;
  const int64_t index = (batch * in.queries.heads + head) * in.queries.tokens + query;
  if (exists) {
    load_row(memory.own.row(0), in.q + in.queries.offset(batch, head, query), dim, in.scale, lane);
    load_row(memory.own.row(1), up.dy + in.results.offset(batch, head, query), dim, 1.0F, lane);
    __syncwarp();
    if constexpr (Sight::kBiased) {
      find_bias(memory, sight, query, dim, in.scale, lane);
      for (int64_t i = lane; i < places; i += 32) memory.bias_sums[i] = 0;
    }
  }
  const int64_t seen = exists ? sight.keys(batch, query) : 0;
  float sums[chunks] = {};
  for (int64_t first = 0; first < in.keys.tokens; first += kKeys) {
    __syncthreads();
    load_rows(memory.first, in.k, in.keys, batch, kv_head, first, in.keys.tokens);
    load_rows(memory.second, in.v, in.keys, batch, kv_head, first, in.keys.tokens);
    __syncthreads();
    const int64_t key = first + lane;
    float weight = 0;
    if (key < seen && !sight.hides(batch, key)) {
      float logit = dot(memory.own.row(0), memory.first.row(lane), dim);
      if constexpr (Sight::kBiased) logit += bias_of(memory, sight, key);
      weight = expf(logit - up.logsumexp[index]) * (dot(memory.own.row(1), memory.second.row(lane), dim) - up.levels[index]);
    }
    memory.weights[lane] = weight * in.scale;
    memory.weights[kKeys + lane] = weight;
    __syncwarp();
    add_rows<chunks>(sums, memory.weights, memory.first, lane);
    if constexpr (Sight::kBiased) {
      // Each lane has rows and columns of its own, and adds up the keys that lie in them.
      for (int64_t i = lane; i < places; i += 32) {
        for (int64_t other = 0; other < kKeys; ++other) {
          const int64_t at = i < sight.rows ? (first + other) / sight.columns : sight.rows + (first + other) % sight.columns;
          if (at == i) memory.bias_sums[i] += memory.weights[kKeys + other];
        }
      }
    }
    __syncwarp();
  }
  if (!exists) return;
  if constexpr (Sight::kBiased) {
    for (int64_t i = 0; i < places; ++i) {
      const T* toward = i < sight.rows ? sight.toward_row(query, i) : sight.toward_column(query, i - sight.rows);
#pragma unroll
      for (int c = 0; c < chunks; ++c) {
        if (lane + 32 * c < dim) sums[c] += memory.bias_sums[i] * to_float(toward[lane + 32 * c]);
      }
    }
    for (int64_t i = lane; i < places && bias_sums != nullptr; i += 32) bias_sums[index * places + i] = memory.bias_sums[i];
  }
  if (dq != nullptr) store_row<chunks>(dq + in.queries.offset(batch, head, query), sums, 1.0F, dim, lane);
}

// Of each head that shares the key.
template <int chunks, typename T, typename Sight>
__global__ void __launch_bounds__(kAttentionThreads, 4)
    key_gradient_kernel(AttentionInputs<T> in, AttentionUpstream<T> up, Sight sight, T* dk, T* dv) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int warp = static_cast<int>(threadIdx.x) / 32;
  const int64_t dim = in.queries.dim;
  const AttentionShared memory(dim, sight.rows + sight.columns, warp);
  const int64_t batch = blockIdx.z;
  const int64_t kv_head = blockIdx.y;
  const int64_t group = in.queries.heads / in.keys.heads;
  const int64_t key = static_cast<int64_t>(blockIdx.x) * kAttentionWarps + warp;
  const bool exists = key < in.keys.tokens;
  const bool hidden = !exists || sight.hides(batch, key);
  if (exists) {
    load_row(memory.own.row(0), in.k + in.keys.offset(batch, kv_head, key), dim, in.scale, lane);
    load_row(memory.own.row(1), in.v + in.keys.offset(batch, kv_head, key), dim, 1.0F, lane);
  }
  float key_sums[chunks] = {};
  float value_sums[chunks] = {};
  for (int64_t head = kv_head * group; head < (kv_head + 1) * group; ++head) {
    for (int64_t first = 0; first < in.queries.tokens; first += kKeys) {
      __syncthreads();
      load_rows(memory.first, in.q, in.queries, batch, head, first, in.queries.tokens);
      load_rows(memory.second, up.dy, in.results, batch, head, first, in.queries.tokens);
      __syncthreads();
      const int64_t query = first + lane;
      const int64_t index = (batch * in.queries.heads + head) * in.queries.tokens + query;
      float p = 0, weight = 0;
      if (query < in.queries.tokens && !hidden && key < sight.keys(batch, query)) {
        float logit = dot(memory.own.row(0), memory.first.row(lane), dim);
        if constexpr (Sight::kBiased) {
          logit += dot(memory.first.row(lane), sight.toward_row(query, key / sight.columns), dim) +
                   dot(memory.first.row(lane), sight.toward_column(query, key % sight.columns), dim);
        }
        p = expf(logit - up.logsumexp[index]);
        weight = p * (dot(memory.own.row(1), memory.second.row(lane), dim) - up.levels[index]) * in.scale;
      }
      memory.weights[lane] = weight;
      memory.weights[kKeys + lane] = p;
      __syncwarp();
      add_rows<chunks>(key_sums, memory.weights, memory.first, lane);
      add_rows<chunks>(value_sums, memory.weights + kKeys, memory.second, lane);
      __syncwarp();
    }
  }
  if (!exists) return;
  const int64_t offset = in.keys.offset(batch, kv_head, key);
  if (dk != nullptr) store_row<chunks>(dk + offset, key_sums, 1.0F, dim, lane);
  if (dv != nullptr) store_row<chunks>(dv + offset, value_sums, 1.0F, dim, lane);
}

}  // namespace

// Each of dq, dk, dv, bias_sums may be null.
template <typename T, typename Sight>
void attend_backward_by_warps(CudaStream& stream, int64_t batch, const AttentionInputs<T>& in, const Sight& sight,
                              const T* dy, const T* y, const float* logsumexp, T* dq, T* dk, T* dv, float* bias_sums) {
  float* levels = stream.scratch_of<float>(batch * in.queries.heads * in.queries.tokens);
  const Grid tiles{.blocks = blocks_for(in.results.tokens, kKeys),
                   .threads = 32,
                   .y = in.results.heads,
                   .z = batch,
                   .shared_bytes = 2 * kKeys * (in.results.dim + 1) * static_cast<int64_t>(sizeof(float))};
  launch(stream, level_kernel<T>, tiles, in.results, dy, y, levels);
  const AttentionUpstream<T> up{dy, logsumexp, levels};
  by_chunks(in.queries.dim, [&](auto chunks) {
    if (dq != nullptr || bias_sums != nullptr) {
      launch(stream, query_gradient_kernel<chunks.value, T, Sight>, attention_grid(in.queries, batch, sight), in, up, sight,
             dq, bias_sums);
    }
    if (dk != nullptr || dv != nullptr) {
      launch(stream, key_gradient_kernel<chunks.value, T, Sight>, attention_grid(in.keys, batch, sight), in, up, sight, dk,
             dv);
    }
  });
}

}  // namespace mglmm::cuda
