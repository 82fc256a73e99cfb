// Attention in f32: per tile of queries, over tiles of keys, s = k q^T, softmax, y^T += v^T p. bf16 and f16 are widened, and
// the keys of a window put one behind another, once a head.
#include <cmath>

#include "cpu/attention/attend.h"
#include "cpu/attention/product.h"
#include "cpu/attention/tile.h"
#include "cpu/parallel.h"
#include "kernels/window_partition.h"

namespace mglmm::cpu {
namespace {

constexpr int64_t kTileQueries = kBlockVectors * kLanes;
constexpr int64_t kTileKeys = 128;  // 24 KiB of logits beside the queries: within the first level cache

struct Head {
  Rows rows;
  const float *k, *v;  // copies as f32; null: the tensors are that
  int64_t k_stride, v_stride;
  const uint8_t* key_mask;
  const float* tables;  // [2 * height - 1 + 2 * width - 1][headDim], null without relative position
};

struct TileMemory {
  float *q, *s, *y, *inverse, *scores, *bias_h, *bias_w;
};

// The products of the tables with the queries, for as many rows of the tables as these queries need.
template <int kVectors>
void make_bias(const AttentionProblem& problem, const Head& head, int64_t first, int64_t count, const TileMemory& memory,
               TileLogits<kVectors>& logits) {
  constexpr int64_t kStride = kVectors * kLanes;
  const float* table = head.tables;
  for (const bool vertical : {true, false}) {
    const int64_t size = vertical ? problem.height : problem.width;
    int32_t at[kStride];
    int32_t least = std::numeric_limits<int32_t>::max(), most = 0;
    for (int64_t lane = 0; lane < kStride; ++lane) {
      const int64_t token = head.rows.token(first + std::min(lane, count - 1));
      at[lane] = static_cast<int32_t>(vertical ? token / problem.width : token % problem.width);
      least = std::min(least, at[lane]);
      most = std::max(most, at[lane]);
    }
    product<kVectors, Start::zero>({table + least * problem.head_dim, problem.head_dim, 1}, most - least + size, memory.q,
                                   kStride, problem.head_dim, memory.scores, kStride);
    for (int32_t& place : at) place += static_cast<int32_t>(size) - 1 - least;
    shear<kVectors>(memory.scores, at, size, vertical ? memory.bias_h : memory.bias_w);
    table += (2 * size - 1) * problem.head_dim;
  }
  logits.bias_h = memory.bias_h;
  logits.bias_w = memory.bias_w;
  logits.width = problem.width;
}

template <int kVectors>
void attend_tile(const AttentionProblem& problem, const Head& head, int64_t first, int64_t count, const TileMemory& memory) {
  constexpr int64_t kStride = kVectors * kLanes;
  const int64_t head_dim = problem.head_dim;
  by_dtype(problem.q.dtype,
           [&]<typename T>(Type<T>) { read_columns<T>(problem.q, head.rows, first, count, head_dim, memory.q, kStride); });
  TileLogits<kVectors> logits;
  logits.factor = problem.scale * kLog2E;
  logits.key_mask = head.key_mask;
  int64_t keys_end = 0;
  set_limits<kVectors>(problem, head.rows, first, count, logits, keys_end);
  if (head.tables) make_bias<kVectors>(problem, head, first, count, memory, logits);

  // Calls body(tokens, done, run) for each run of a tile's keys, or of their values.
  const auto in_runs = [&](const float* copied, int64_t stride, const Heads& heads, int64_t key, int64_t keys, auto&& body) {
    for (int64_t done = 0, run; done < keys; done += run) {
      run = problem.key_run(key + done, keys - done);
      if (copied) {
        body(copied + (key + done) * stride, done, run);
        continue;
      }
      body(head.rows.key_at<float>(problem, heads, key + done), done, run);
    }
  };
  vfloat ones[kVectors];
  std::fill_n(ones, kVectors, splat(1.0F));
  RunningSoftmax<kVectors> softmax;
  float factor = logits.factor;
  std::fill_n(memory.y, head_dim * kStride, 0.0F);
  for (int64_t key = 0; key < keys_end; key += kTileKeys) {
    const int64_t keys = std::min(kTileKeys, keys_end - key);
    in_runs(head.k, head.k_stride, problem.k, key, keys, [&](const float* k, int64_t done, int64_t run) {
      product<kVectors, Start::zero>({k, head.k_stride, 1}, run, memory.q, kStride, head_dim, memory.s + done * kStride,
                                     kStride);
    });
    vfloat shift[kVectors];
    take_tile<kVectors>(memory.s, key, keys, logits, softmax, factor, shift);
    exponentiate<kVectors>(memory.s, keys, factor, shift, softmax);
    in_runs(head.v, head.v_stride, problem.v, key, keys, [&](const float* v, int64_t done, int64_t run) {
      product<kVectors, Start::scaled>({v, 1, head.v_stride}, head_dim, memory.s + done * kStride, kStride, run, memory.y,
                                       kStride, done == 0 ? softmax.correction : ones);
    });
  }
  finish_rows<kVectors>(problem, head.rows, first, count, softmax, factor, memory.inverse);
  by_dtype(problem.y.dtype, [&]<typename T>(Type<T>) {
    write_columns<T>(problem.y, head.rows, first, count, head_dim, memory.y, kStride, memory.inverse);
  });
}

}  // namespace

Window AttentionProblem::window_of(int64_t b) const {
  if (map_height == 0) return {};
  const int64_t down = windows_along(map_height, height), across = windows_along(map_width, width);
  const int64_t top = b / across % down * height, left = b % across * width;
  return {b / (down * across),
          top * map_width + left,
          std::min(height, map_height - top),
          std::min(width, map_width - left),
          width,
          map_width};
}

Heads heads_of(const TensorRef& tensor, bool tokens_first) {
  if (!tensor) return {};
  const Shape& shape = tensor.shape;
  const int64_t dim = shape[3];
  return {tensor.raw(), tensor.dtype, shape[1] * shape[2] * dim, tokens_first ? dim : shape[2] * dim,
          tokens_first ? shape[2] * dim : dim};
}

void attend(const AttentionProblem& problem, Stream& stream) {
  const int64_t heads = problem.batch * problem.kv_heads, head_dim = problem.head_dim;
  const int64_t most_rows = problem.queries * (problem.kv_heads ? problem.group() : 0);
  if (heads * most_rows == 0) return;
  if (attend_bf16(problem, stream)) return;

  float* tables = nullptr;
  const int64_t table_rows = problem.height ? 2 * (problem.height + problem.width) - 2 : 0;
  if (table_rows) {
    tables = stream.scratch_of<float>(table_rows * head_dim);
    float* to = tables;
    for (const ConstTensor* table : {&problem.rel_pos_h, &problem.rel_pos_w}) {
      by_dtype(table->dtype, [&]<typename T>(Type<T>) { to = std::copy_n(table->data<T>(), table->count(), to); });
    }
  }
  int64_t most_keys = 0;
  for (int64_t b = 0; b < problem.batch; ++b) most_keys = std::max(most_keys, problem.keys_of(b));
  const bool copies = problem.k.dtype != Dtype::f32 || problem.key_mask != nullptr || problem.map_height > 0;
  const int64_t copied = copies ? Slice::bytes<float>(most_keys * head_dim) : 0;
  const int64_t score_rows = std::max(problem.height, problem.width) * 2;
  const int64_t tile_bytes =
      Slice::bytes<float>(kTileQueries * head_dim) * 2 + Slice::bytes<float>(kTileQueries * kTileKeys) +
      Slice::bytes<float>(kTileQueries) + Slice::bytes<float>(kTileQueries * score_rows) +
      Slice::bytes<float>(kTileQueries * problem.height) + Slice::bytes<float>(kTileQueries * problem.width);
  const int64_t slice = std::max(2 * copied + tile_bytes, few_scratch_bytes(problem));
  std::byte* scratch = stream.scratch(slice * thread_count());

  // Few heads are shared out by tiles too; what a query's result is does not depend on it.
  const int64_t tiles = (most_rows + kTileQueries - 1) / kTileQueries;
  const int64_t parts = std::min(tiles, (4 * thread_count() + heads - 1) / heads);
  pieces_of_attention(heads * most_keys * head_dim * tiles, heads * parts, [&](int64_t piece) {
    const int64_t part = piece % parts, b = piece / parts / problem.kv_heads, kv_head = piece / parts % problem.kv_heads;
    Head head{rows_of(problem, b, kv_head), nullptr, nullptr, problem.k.token_stride,
              problem.v.token_stride,       nullptr, tables};
    if (head.rows.count == 0) return;
    std::byte* own = scratch + slice * thread_index();
    if (head.rows.count <= kFewRows && !tables && !problem.key_mask) {
      if (part == 0) attend_few(problem, b, kv_head, own);
      return;
    }
    const int64_t row_tiles = (head.rows.count + kTileQueries - 1) / kTileQueries;
    const int64_t begin = row_tiles * part / parts, end = row_tiles * (part + 1) / parts;
    if (begin == end) return;
    Slice memory(own);
    const int64_t keys = problem.keys_of(b);
    head.key_mask = problem.key_mask ? problem.key_mask + b * problem.keys : nullptr;
    if (copies) {
      auto* copy_k = memory.take<float>(most_keys * head_dim);
      auto* copy_v = memory.take<float>(most_keys * head_dim);
      head.k = read_tokens(problem, problem.k, head.rows, keys, head.key_mask, copy_k, head_dim, head.k_stride);
      head.v = read_tokens(problem, problem.v, head.rows, keys, head.key_mask, copy_v, head_dim, head.v_stride);
    }
    TileMemory tile;
    tile.q = memory.take<float>(kTileQueries * head_dim);
    tile.y = memory.take<float>(kTileQueries * head_dim);
    tile.s = memory.take<float>(kTileQueries * kTileKeys);
    tile.inverse = memory.take<float>(kTileQueries);
    tile.scores = memory.take<float>(kTileQueries * score_rows);
    tile.bias_h = memory.take<float>(kTileQueries * problem.height);
    tile.bias_w = memory.take<float>(kTileQueries * problem.width);
    for (int64_t first = begin * kTileQueries; first < std::min(head.rows.count, end * kTileQueries);
         first += kTileQueries) {
      const int64_t count = std::min(kTileQueries, head.rows.count - first);
      switch ((count + kLanes - 1) / kLanes) {
        case 1: attend_tile<1>(problem, head, first, count, tile); break;
        case 2: attend_tile<2>(problem, head, first, count, tile); break;
        default: attend_tile<3>(problem, head, first, count, tile); break;
      }
    }
  });
}

}  // namespace mglmm::cpu
