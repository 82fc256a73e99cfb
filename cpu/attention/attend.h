// What the attention ops share: one problem over strided heads, kept by a tiled kernel for f32, one for bf16 where the
// processor multiplies it, and one for few queries. Everywhere a tile is transposed: a row is a key (or a place of headDim),
// a lane is a query. So the softmax over keys runs down the rows with no sum across lanes, and each query's arithmetic is
// the same whatever it is tiled with.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "kernels/stream.h"
#include "kernels/tensor.h"

namespace mglmm::cpu {

// A tensor of heads with headDim innermost; strides in elements.
struct Heads {
  std::byte* data = nullptr;  // null: not wanted
  Dtype dtype = Dtype::f32;
  int64_t batch_stride = 0, head_stride = 0, token_stride = 0;
  const std::byte* padding = nullptr;  // of keys and values: the heads of a token beyond the edge of a map

  template <typename T>
  T* at(int64_t batch, int64_t head, int64_t token) const {
    return reinterpret_cast<T*>(data) + batch * batch_stride + head * head_stride + token * token_stride;
  }
};

// [batch, heads, tokens, headDim], or [batch, tokens, heads, headDim] with `tokens_first`.
Heads heads_of(const TensorRef& tensor, bool tokens_first);

// A row of the batch that is a square window of a map, cut as kernels/window_partition.h does.
struct Window {
  int64_t map = 0, first = 0;       // its first token, in the map
  int64_t rows = 0, columns = 0;    // what the map has of it
  int64_t side = 0, map_width = 0;  // side 0: no window
  // The tokens that the map has are numbered row by row: where number `index` of them is in the window, and in the map.
  int64_t in_window(int64_t index) const { return index / columns * side + index % columns; }
  int64_t in_map(int64_t index) const { return first + index / columns * map_width + index % columns; }
};

struct AttentionProblem {
  Heads q, k, v, y;
  int64_t batch = 0, heads = 0, kv_heads = 0, queries = 0, keys = 0, head_dim = 0;
  float scale = 1;
  bool causal = false;
  const uint8_t* key_mask = nullptr;  // [batch, keys]
  float* logsumexp = nullptr;         // [batch, heads, queries]; null: not wanted
  const int32_t* lengths = nullptr;   // [batch]: of the queries; null: all
  const int32_t* offsets = nullptr;   // [batch]: row b has offsets[b] + its length keys; null: `keys`
  // [batch, row_pages]: k and v are pages of page_tokens, a multiple of 64, in the place of a batch; null: row b is page b
  const int32_t* page_table = nullptr;
  int64_t row_pages = 0, page_tokens = 0;
  ConstTensor rel_pos_h, rel_pos_w;  // tables of the decomposed relative position, used when height > 0
  int64_t height = 0, width = 0;
  int64_t map_height = 0, map_width = 0;  // of maps whose windows of height x width the batch is; 0: no windows

  int64_t queries_of(int64_t b) const { return lengths ? lengths[b] : queries; }
  int64_t keys_of(int64_t b) const { return offsets ? offsets[b] + queries_of(b) : keys; }
  int64_t group() const { return heads / kv_heads; }
  Window window_of(int64_t b) const;
  // Of key `key` of row b.
  struct Place {
    int64_t page, token;
  };
  Place place_of(int64_t b, int64_t key) const {
    if (page_table == nullptr) return {b, key};
    return {page_table[b * row_pages + key / page_tokens], key % page_tokens};
  }
  // In k or in v.
  template <typename T>
  T* key_at(const Heads& keys_or_values, int64_t b, int64_t head, int64_t key) const {
    const Place place = place_of(b, key);
    return keys_or_values.at<T>(place.page, head, place.token);
  }
  // How many of `count` keys from `key` on lie one behind another.
  int64_t key_run(int64_t key, int64_t count) const {
    return page_table == nullptr ? count : std::min(count, page_tokens - key % page_tokens);
  }
};

void attend(const AttentionProblem& problem, Stream& stream);

struct AttentionGradients {
  Heads dy, dq, dk, dv;           // of dq, dk, dv only those wanted
  Tensor drel_pos_h, drel_pos_w;  // as wanted
};
// `forward` holds the inputs, y and logsumexp.
void attend_backward(const AttentionProblem& forward, const AttentionGradients& gradients, Stream& stream);

// The whole problem by products of bf16; false when this machine or the dtype are not for it.
bool attend_bf16(const AttentionProblem& problem, Stream& stream);
// One row of the batch and one head of k and v, for a few queries: `rows` = group * queries <= kFewRows.
inline constexpr int64_t kFewRows = 4;
int64_t few_scratch_bytes(const AttentionProblem& problem);
void attend_few(const AttentionProblem& problem, int64_t b, int64_t kv_head, std::byte* scratch);

}  // namespace mglmm::cpu
