#include "kernels/attention.h"

#include "cuda/attention.cuh"

namespace mglmm::cuda {
namespace {

struct Sight {
  int64_t queries, keys_of_all;
  bool causal;
  const uint8_t* mask;  // [batch, keys], or null
  __device__ int64_t keys(int64_t, int64_t query) const {
    if (!causal) return keys_of_all;
    const int64_t last = query + keys_of_all - queries;
    return last < 0 ? 0 : last + 1;
  }
  __device__ bool hides(int64_t batch, int64_t key) const { return mask != nullptr && mask[batch * keys_of_all + key] == 0; }
};

struct Sizes {
  int64_t batch;
  HeadRows queries, keys;
  Sight sight;
  float scale;

  template <typename Op>
  explicit Sizes(const Op& op) : batch(op.q.shape[0]), scale(static_cast<float>(op.softmaxScale)) {
    const int heads = op.tokensFirst ? 2 : 1;
    const int tokens = op.tokensFirst ? 1 : 2;
    queries = {op.q.shape[heads], op.q.shape[tokens], op.q.shape[3], op.tokensFirst};
    keys = {op.k.shape[heads], op.k.shape[tokens], op.q.shape[3], op.tokensFirst};
    sight = {queries.tokens, keys.tokens, op.causal, op.keyMask ? op.keyMask->template data<uint8_t>() : nullptr};
  }
  Grid over(const HeadRows& rows) const {
    return {.blocks = blocks_for(rows.tokens, kAttentionWarps),
            .threads = kAttentionThreads,
            .y = rows.heads,
            .z = batch,
            .shared_bytes = attention_shared_bytes(rows.dim)};
  }
};

// sum(dy * y) of each query, a warp each.
template <typename T>
__global__ void __launch_bounds__(kAttentionThreads) level_kernel(HeadRows queries, const T* dy, const T* y, float* levels) {
  const int64_t query = static_cast<int64_t>(blockIdx.x) * kAttentionWarps + threadIdx.x / 32;
  if (query >= queries.tokens) return;
  const int64_t offset = queries.offset(blockIdx.z, blockIdx.y, query);
  float sum = 0;
  for (int64_t i = threadIdx.x % 32; i < queries.dim; i += 32) sum += to_float(dy[offset + i]) * to_float(y[offset + i]);
  sum = reduce_warp<Plus>(sum);
  if (threadIdx.x % 32 == 0) levels[(blockIdx.z * queries.heads + blockIdx.y) * queries.tokens + query] = sum;
}

// As attend_kernel walks: dq of a query a warp.
template <int chunks, typename T>
__global__ void __launch_bounds__(kAttentionThreads)
    query_gradient_kernel(HeadRows queries, HeadRows keys, float scale, Sight sight, const T* q, const T* k, const T* v,
                          const T* dy, const float* logsumexp, const float* levels, T* dq) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int warp = static_cast<int>(threadIdx.x) / 32;
  const int64_t dim = queries.dim;
  const AttentionShared memory(dim, warp);
  const int64_t batch = blockIdx.z;
  const int64_t head = blockIdx.y;
  const int64_t kv_head = head / (queries.heads / keys.heads);
  const int64_t query = static_cast<int64_t>(blockIdx.x) * kAttentionWarps + warp;
  const bool exists = query < queries.tokens;
  const int64_t offset = queries.offset(batch, head, query);
  const int64_t index = (batch * queries.heads + head) * queries.tokens + query;
  if (exists) {
    for (int64_t i = lane; i < dim; i += 32) {
      memory.own.row(0)[i] = to_float(q[offset + i]) * scale;
      memory.own.row(1)[i] = to_float(dy[offset + i]);
    }
  }
  const int64_t seen = exists ? sight.keys(batch, query) : 0;
  float sums[chunks] = {};
  for (int64_t first = 0; first < keys.tokens; first += kKeys) {
    __syncthreads();
    load_rows(memory.first, k, keys, batch, kv_head, first, keys.tokens);
    load_rows(memory.second, v, keys, batch, kv_head, first, keys.tokens);
    __syncthreads();
    const int64_t key = first + lane;
    float weight = 0;
    if (key < seen && !sight.hides(batch, key)) {
      const float p = expf(dot(memory.own.row(0), memory.first.row(lane), dim) - logsumexp[index]);
      weight = p * (dot(memory.own.row(1), memory.second.row(lane), dim) - levels[index]) * scale;
    }
    memory.weights[lane] = weight;
    __syncwarp();
    add_rows<chunks>(sums, memory.weights, memory.first, lane);
    __syncwarp();
  }
  if (!exists) return;
#pragma unroll
  for (int c = 0; c < chunks; ++c) {
    if (lane + 32 * c < dim) put(dq[offset + lane + 32 * c], sums[c]);
  }
}

// The other way round: a key a warp, tiles of 32 queries, a query a lane, of each head that shares the key.
template <int chunks, typename T>
__global__ void __launch_bounds__(kAttentionThreads)
    key_gradient_kernel(HeadRows queries, HeadRows keys, float scale, Sight sight, const T* q, const T* k, const T* v,
                        const T* dy, const float* logsumexp, const float* levels, T* dk, T* dv) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int warp = static_cast<int>(threadIdx.x) / 32;
  const int64_t dim = queries.dim;
  const AttentionShared memory(dim, warp);
  const int64_t batch = blockIdx.z;
  const int64_t kv_head = blockIdx.y;
  const int64_t group = queries.heads / keys.heads;
  const int64_t key = static_cast<int64_t>(blockIdx.x) * kAttentionWarps + warp;
  const bool exists = key < keys.tokens;
  const bool hidden = !exists || sight.hides(batch, key);
  const int64_t offset = keys.offset(batch, kv_head, key);
  if (exists) {
    for (int64_t i = lane; i < dim; i += 32) {
      memory.own.row(0)[i] = to_float(k[offset + i]) * scale;
      memory.own.row(1)[i] = to_float(v[offset + i]);
    }
  }
  float key_sums[chunks] = {};
  float value_sums[chunks] = {};
  for (int64_t head = kv_head * group; head < (kv_head + 1) * group; ++head) {
    for (int64_t first = 0; first < queries.tokens; first += kKeys) {
      __syncthreads();
      load_rows(memory.first, q, queries, batch, head, first, queries.tokens);
      load_rows(memory.second, dy, queries, batch, head, first, queries.tokens);
      __syncthreads();
      const int64_t query = first + lane;
      const int64_t index = (batch * queries.heads + head) * queries.tokens + query;
      float p = 0, weight = 0;
      if (query < queries.tokens && !hidden && key < sight.keys(batch, query)) {
        p = expf(dot(memory.own.row(0), memory.first.row(lane), dim) - logsumexp[index]);
        weight = p * (dot(memory.own.row(1), memory.second.row(lane), dim) - levels[index]) * scale;
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
#pragma unroll
  for (int c = 0; c < chunks; ++c) {
    if (lane + 32 * c >= dim) continue;
    if (dk != nullptr) put(dk[offset + lane + 32 * c], key_sums[c]);
    if (dv != nullptr) put(dv[offset + lane + 32 * c], value_sums[c]);
  }
}

}  // namespace

void run(const Attention& op, CudaStream& stream) {
  const Sizes sizes(op);
  by_dtype(op.q.dtype, [&]<typename T>(Type<T>) {
    by_chunks(sizes.queries.dim, [&](auto chunks) {
      launch(stream, attend_kernel<chunks.value, T, Sight>, sizes.over(sizes.queries), sizes.queries, sizes.keys,
             sizes.scale, sizes.sight, op.q.data<T>(), op.k.data<T>(), op.v.data<T>(), op.y.data<T>(),
             op.logsumexp ? op.logsumexp.data<float>() : nullptr);
    });
  });
}

void run(const AttentionBackward& op, CudaStream& stream) {
  const Sizes sizes(op);
  float* levels = stream.scratch_of<float>(sizes.batch * sizes.queries.heads * sizes.queries.tokens);
  by_dtype(op.q.dtype, [&]<typename T>(Type<T>) {
    const T* dy = op.dy.data<T>();
    const T* q = op.q.data<T>();
    const T* k = op.k.data<T>();
    const T* v = op.v.data<T>();
    const float* logsumexp = op.logsumexp.data<float>();
    launch(stream, level_kernel<T>, sizes.over(sizes.queries), sizes.queries, dy, op.y.data<T>(), levels);
    by_chunks(sizes.queries.dim, [&](auto chunks) {
      if (op.dq) {
        launch(stream, query_gradient_kernel<chunks.value, T>, sizes.over(sizes.queries), sizes.queries, sizes.keys,
               sizes.scale, sizes.sight, q, k, v, dy, logsumexp, levels, op.dq.data<T>());
      }
      if (op.dk || op.dv) {
        launch(stream, key_gradient_kernel<chunks.value, T>, sizes.over(sizes.keys), sizes.queries, sizes.keys, sizes.scale,
               sizes.sight, q, k, v, dy, logsumexp, levels, op.dk ? op.dk.data<T>() : nullptr,
               op.dv ? op.dv.data<T>() : nullptr);
      }
    });
  });
}

}  // namespace mglmm::cuda
