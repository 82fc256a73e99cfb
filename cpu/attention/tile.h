// What every tile of queries does beside its products: reads queries into lanes, makes their relative position bias, writes
// results back to rows.
#pragma once
#include <algorithm>
#include <cstdint>

#include "cpu/attention/attend.h"
#include "cpu/attention/softmax.h"
#include "cpu/parallel.h"
#include "cpu/simd.h"
#include "cpu/transpose.h"

namespace mglmm::cpu {

// Hands out parts of a thread's slice of scratch memory.
class Slice {
 public:
  explicit Slice(std::byte* data) : next_(data) {}
  template <typename T>
  T* take(int64_t count) {
    T* result = reinterpret_cast<T*>(next_);
    next_ += bytes<T>(count);
    return result;
  }
  template <typename T>
  static int64_t bytes(int64_t count) {
    return (count * static_cast<int64_t>(sizeof(T)) + 63) / 64 * 64;
  }

 private:
  std::byte* next_;
};

// As parallel_pieces, but on this thread alone where keys are so few that waking another takes as long as they do: the first
// steps of a generation.
template <typename Body>
void pieces_of_attention(int64_t key_elements, int64_t count, Body&& body) {
  constexpr int64_t kFewElements = 49152;  // of all heads, for one tile of queries: about 20 us
  if (key_elements > kFewElements) return parallel_pieces(count, body);
  for (int64_t piece = 0; piece < count; ++piece) body(piece);
}

// The queries that meet one head of keys: those of its query heads, one head after another. Of a window only the tokens that
// its map has.
struct Rows {
  int64_t batch, first_head, queries, count;
  Window window = {};  // where rows are windows
  int64_t head(int64_t row) const { return first_head + row / queries; }
  int64_t token(int64_t row) const { return window.side ? window.in_window(row % queries) : row % queries; }
  template <typename T>
  T* at(const Heads& heads, int64_t row) const {
    if (window.side) return heads.at<T>(window.map, head(row), window.in_map(row % queries));
    return heads.at<T>(batch, head(row), token(row));
  }
  // Of a head of keys or of values.
  template <typename T>
  const T* key_at(const AttentionProblem& problem, const Heads& heads, int64_t key) const {
    const int64_t kv_head = first_head / problem.group();
    if (window.side == 0) return problem.key_at<const T>(heads, batch, kv_head, key);
    const int64_t row = key / window.side, column = key % window.side;
    if (row >= window.rows || column >= window.columns)
      return reinterpret_cast<const T*>(heads.padding) + kv_head * heads.head_stride;
    return heads.at<const T>(window.map, kv_head, window.first + row * window.map_width + column);
  }
};
inline Rows rows_of(const AttentionProblem& problem, int64_t b, int64_t kv_head) {
  const Window window = problem.window_of(b);
  const int64_t queries = window.side ? window.rows * window.columns : problem.queries_of(b);
  return {b, kv_head * problem.group(), queries, queries * problem.group(), window};
}

// columns[d][stride]: lane r is row `first` + r, lanes from `count` up to whole vectors are 0.
template <typename T>
void read_columns(const Heads& heads, const Rows& rows, int64_t first, int64_t count, int64_t head_dim, float* columns,
                  int64_t stride) {
  for (int64_t lane = 0; lane < count; lane += kLanes) {
    const T* from[kLanes];
    const int64_t filled = std::min<int64_t>(kLanes, count - lane);
    for (int64_t i = 0; i < filled; ++i) from[i] = rows.at<T>(heads, first + lane + i);
    for (int64_t d = 0; d < head_dim; d += kLanes) {
      vfloat block[kLanes] = {};
      const int64_t width = std::min<int64_t>(kLanes, head_dim - d);
      for (int64_t i = 0; i < filled; ++i) block[i] = width == kLanes ? load(from[i] + d) : load(from[i] + d, width);
      transpose(block);
      for (int64_t i = 0; i < width; ++i) store(columns + (d + i) * stride + lane, block[i]);
    }
  }
}

// Row `first` + r of `heads` becomes lane r of columns[d][stride], multiplied by factors[r].
template <typename T>
void write_columns(const Heads& heads, const Rows& rows, int64_t first, int64_t count, int64_t head_dim,
                   const float* columns, int64_t stride, const float* factors) {
  for (int64_t lane = 0; lane < count; lane += kLanes) {
    T* to[kLanes];
    const int64_t filled = std::min<int64_t>(kLanes, count - lane);
    for (int64_t i = 0; i < filled; ++i) to[i] = rows.at<T>(heads, first + lane + i);
    const vfloat factor = load(factors + lane);
    for (int64_t d = 0; d < head_dim; d += kLanes) {
      vfloat block[kLanes] = {};
      const int64_t width = std::min<int64_t>(kLanes, head_dim - d);
      for (int64_t i = 0; i < width; ++i) block[i] = load(columns + (d + i) * stride + lane) * factor;
      transpose(block);
      for (int64_t i = 0; i < filled; ++i) {
        if (width == kLanes)
          store(to[i] + d, block[i]);
        else
          store(to[i] + d, block[i], width);
      }
    }
  }
}

// The last key that each lane sees; lanes beyond `count` repeat the last row's.
template <int kVectors>
void set_limits(const AttentionProblem& problem, const Rows& rows, int64_t first, int64_t count,
                TileLogits<kVectors>& logits, int64_t& keys_end) {
  const int64_t keys = problem.keys_of(rows.batch), shift = keys - rows.queries;
  int64_t most = -1;
  logits.least_limit = keys;
  for (int64_t lane = 0; lane < kVectors * kLanes; ++lane) {
    const int64_t row = first + std::min(lane, count - 1);
    const int64_t limit = problem.causal ? std::min(keys - 1, rows.token(row) + shift) : keys - 1;
    logits.limits[lane / kLanes][lane % kLanes] = static_cast<int32_t>(limit);
    most = std::max(most, limit);
    logits.least_limit = std::min(logits.least_limit, limit);
  }
  keys_end = most + 1;
}

// bias[place][lane] = scores[at(lane) - place][lane] / ln 2 for place in [0, size): row at(lane) of the table of a query's
// own place, counted from there. `scores` [rows][kVectors * kLanes] are the products of the table with the queries.
template <int kVectors>
void shear(const float* scores, const int32_t* at, int64_t size, float* bias) {
  constexpr int kStride = kVectors * kLanes;
  for (int n = 0; n < kVectors; ++n) {
    vint index;
    for (int lane = 0; lane < kLanes; ++lane) index[lane] = at[n * kLanes + lane] * kStride + n * kLanes + lane;
    for (int64_t place = 0; place < size; ++place, index -= kStride) {
#if defined(__AVX512F__)
      const auto value =
          std::bit_cast<vfloat>(_mm512_mask_i32gather_ps(__m512{}, kAllLanes, std::bit_cast<__m512i>(index), scores, 4));
#else
      vfloat value;
      for (int lane = 0; lane < kLanes; ++lane) value[lane] = scores[index[lane]];
#endif
      store(bias + place * kStride + n * kLanes, value * kLog2E);
    }
  }
}

// Sum, logsumexp and the factor of each lane's result when all keys have been seen. `factor` is as take_tile gave it.
template <int kVectors>
void finish_rows(const AttentionProblem& problem, const Rows& rows, int64_t first, int64_t count,
                 const RunningSoftmax<kVectors>& softmax, float factor, float* inverse) {
  for (int64_t lane = 0; lane < kVectors * kLanes; ++lane) {
    const float total = softmax.total[lane / kLanes][lane % kLanes];
    const float maximum = softmax.maximum[lane / kLanes][lane % kLanes];
    const bool none = maximum == -kInfinity;
    inverse[lane] = none ? 0.0F : 1.0F / total;
    if (problem.logsumexp == nullptr || lane >= count) continue;
    const int64_t row = first + lane;
    float* to = problem.logsumexp + (rows.batch * problem.heads + rows.head(row)) * problem.queries + rows.token(row);
    *to = none ? kInfinity : maximum * factor * kLn2 + std::log(total);
  }
}

// head_dim values a token, as f32: the tensor itself where there is no room for a copy, else a copy in which hidden keys are
// 0 (what they hold, NaN even, must not reach a sum).
inline const float* read_tokens(const AttentionProblem& problem, const Heads& heads, const Rows& rows, int64_t tokens,
                                const uint8_t* key_mask, float* copy, int64_t copy_stride, int64_t& stride) {
  if (copy == nullptr) {
    stride = heads.token_stride;
    return rows.key_at<float>(problem, heads, 0);
  }
  stride = copy_stride;
  const int64_t head_dim = problem.head_dim;
  by_dtype(heads.dtype, [&]<typename T>(Type<T>) {
    for (int64_t token = 0; token < tokens; ++token) {
      const T* from = rows.key_at<T>(problem, heads, token);
      float* to = copy + token * copy_stride;
      const bool hidden = key_mask && key_mask[token] == 0;
      by_lanes(0, head_dim,
               [=](int64_t d, auto... lanes) { store(to + d, hidden ? vfloat{} : load(from + d, lanes...), lanes...); });
      for (int64_t d = head_dim; d < copy_stride; ++d) to[d] = 0;
    }
  });
  return copy;
}

}  // namespace mglmm::cpu
