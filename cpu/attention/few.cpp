// Attention of a few queries over many keys, a step of generation: bound by reading keys and values once. Lanes run along
// headDim; the softmax keeps a running maximum over tiles of keys.
#include <cmath>

#include "cpu/attention/attend.h"
#include "cpu/attention/tile.h"
#include "kernels/attention_cached.h"

namespace mglmm::cpu {
namespace {

constexpr int64_t kFewKeys = 64;
static_assert(kPageUnit % kFewKeys == 0);

constexpr int64_t kAhead = 16;  // keys: what memory delivers while so many are worked on

// The keys of a tile, or their values, which lie one behind another.
template <typename T>
struct Tile {
  const T* first;
  const T* next;  // the tile behind it, which may be in another page
  int64_t stride, count;

  // Numbers d ... d + width of what comes kAhead after `key`.
  void fetch(int64_t key, int64_t d, int64_t width) const {
    const int64_t ahead = key + kAhead;
    const T* from = (ahead < kFewKeys ? first + ahead * stride : next + (ahead - kFewKeys) * stride) + d;
    for (int64_t byte = 0; byte < width * static_cast<int64_t>(sizeof(T)); byte += 64) {
      __builtin_prefetch(reinterpret_cast<const char*>(from) + byte);
    }
  }
};

// Products of a key with `kRows` queries, lanes along headDim.
template <typename T, int kRows>
void multiply_key(const T* k, int64_t head_dim, const float* q, int64_t padded, vfloat* sums) {
  int64_t d = 0;
  for (; d + kLanes <= head_dim; d += kLanes) {
    const vfloat key = load(k + d);
    for (int r = 0; r < kRows; ++r) sums[r] += key * load(q + r * padded + d);
  }
  if (d < head_dim) {
    const vfloat key = load(k + d, head_dim - d);
    for (int r = 0; r < kRows; ++r) sums[r] += key * load(q + r * padded + d);
  }
}

// scores[kRows][kFewKeys]: the lanes of kLanes keys are added up together, by a transposition.
template <typename T, int kRows>
void score_keys(const Tile<T>& tile, int64_t head_dim, const float* q, int64_t padded, float* scores) {
  const T* k = tile.first;
  for (int64_t first = 0; first < tile.count; first += kLanes) {
    vfloat blocks[kRows][kLanes] = {};
    const int64_t count = std::min<int64_t>(kLanes, tile.count - first);
    for (int64_t j = 0; j < count; ++j, k += tile.stride) {
      tile.fetch(first + j, 0, head_dim);
      vfloat sums[kRows] = {};
      multiply_key<T, kRows>(k, head_dim, q, padded, sums);
      for (int r = 0; r < kRows; ++r) blocks[r][j] = sums[r];
    }
    for (int r = 0; r < kRows; ++r) {
      transpose(blocks[r]);
      for (int width = kLanes / 2; width > 0; width /= 2) {
        for (int i = 0; i < width; ++i) blocks[r][i] += blocks[r][i + width];
      }
      store(scores + r * kFewKeys + first, blocks[r][0]);
    }
  }
}

// y[kRows][padded] += p[kRows][kFewKeys] v, `kVectors` vectors of headDim from place `d` on; the last may be cut short.
template <typename T, int kRows, int kVectors>
void add_value_vectors(const Tile<T>& tile, int64_t d, int64_t lanes, const float* p, float* y, int64_t padded) {
  vfloat sums[kRows][kVectors];
  for (int r = 0; r < kRows; ++r) {
    for (int n = 0; n < kVectors; ++n) sums[r][n] = load(y + r * padded + d + n * kLanes);
  }
  const T* from = tile.first + d;
  for (int64_t j = 0; j < tile.count; ++j, from += tile.stride) {
    tile.fetch(j, d, kVectors * kLanes);
    for (int n = 0; n < kVectors; ++n) {
      const vfloat value = lanes == kLanes ? load(from + n * kLanes) : load(from + n * kLanes, lanes);
      for (int r = 0; r < kRows; ++r) sums[r][n] += value * p[r * kFewKeys + j];
    }
  }
  for (int r = 0; r < kRows; ++r) {
    for (int n = 0; n < kVectors; ++n) store(y + r * padded + d + n * kLanes, sums[r][n]);
  }
}

template <typename T, int kRows>
void add_values(const Tile<T>& tile, int64_t head_dim, const float* p, float* y, int64_t padded) {
  constexpr int kVectors = 4;  // sums in flight enough to hide the latency of one
  int64_t d = 0;
  for (; d + kVectors * kLanes <= head_dim; d += kVectors * kLanes) {
    add_value_vectors<T, kRows, kVectors>(tile, d, kLanes, p, y, padded);
  }
  for (; d < head_dim; d += kLanes) {
    add_value_vectors<T, kRows, 1>(tile, d, std::min<int64_t>(kLanes, head_dim - d), p, y, padded);
  }
}

template <typename T, int kRows>
void attend_rows(const AttentionProblem& problem, const Rows& rows, int64_t kv_head, float* q, float* y) {
  const int64_t head_dim = problem.head_dim, keys = problem.keys_of(rows.batch);
  const int64_t padded = (head_dim + kLanes - 1) / kLanes * kLanes;
  const uint8_t* key_mask = problem.key_mask ? problem.key_mask + rows.batch * problem.keys : nullptr;
  const float factor = problem.scale * kLog2E;
  float maximum[kRows], total[kRows];
  int64_t limits[kRows], keys_end = 0;
  std::fill_n(q, kRows * padded, 0.0F);
  std::fill_n(y, kRows * padded, 0.0F);
  for (int r = 0; r < kRows; ++r) {
    std::copy_n(rows.at<const T>(problem.q, r), head_dim, q + r * padded);
    maximum[r] = -kInfinity;
    total[r] = 0;
    limits[r] = problem.causal ? keys - rows.queries + rows.token(r) : keys - 1;
    keys_end = std::max(keys_end, limits[r] + 1);
  }
  alignas(64) float scores[kRows * kFewKeys];
  for (int64_t first = 0; first < keys_end; first += kFewKeys) {
    const int64_t count = std::min(kFewKeys, keys_end - first);
    const auto tile = [&](const Heads& heads) {
      const auto at = [&](int64_t key) { return problem.key_at<const T>(heads, rows.batch, kv_head, key); };
      return Tile<T>{at(first), at(first + kFewKeys < keys_end ? first + kFewKeys : first), heads.token_stride, count};
    };
    score_keys<T, kRows>(tile(problem.k), head_dim, q, padded, scores);
    for (int r = 0; r < kRows; ++r) {
      float* s = scores + r * kFewKeys;
      for (int64_t j = 0; j < kFewKeys; ++j) {
        const bool seen = j < count && first + j <= limits[r] && !(key_mask && key_mask[first + j] == 0);
        if (!seen) s[j] = -kInfinity;
      }
      vfloat most = splat(maximum[r]);
      for (int64_t j = 0; j < kFewKeys; j += kLanes) most = larger(most, load(s + j));
      const float before = maximum[r];
      maximum[r] = max(most);
      const vfloat shift = maximum[r] == -kInfinity ? vfloat{} : splat(maximum[r]) * factor;
      const vfloat correction = maximum[r] == before ? splat(1.0F) : exp2(splat(before) * factor - shift);
      vfloat sums = {};
      for (int64_t j = 0; j < kFewKeys; j += kLanes) {
        const vfloat p = exp2(load(s + j) * factor - shift);
        sums += p;
        store(s + j, p);
      }
      total[r] = total[r] * correction[0] + sum(sums);
      for (int64_t d = 0; d < padded; d += kLanes) store(y + r * padded + d, load(y + r * padded + d) * correction);
    }
    add_values<T, kRows>(tile(problem.v), head_dim, scores, y, padded);
  }
  for (int r = 0; r < kRows; ++r) {
    const bool none = maximum[r] == -kInfinity;
    const float inverse = none ? 0.0F : 1.0F / total[r];
    T* to = rows.at<T>(problem.y, r);
    by_lanes(0, head_dim, [&](int64_t d, auto... lanes) { store(to + d, load(y + r * padded + d) * inverse, lanes...); });
    if (problem.logsumexp == nullptr) continue;
    problem.logsumexp[(rows.batch * problem.heads + rows.head(r)) * problem.queries + rows.token(r)] =
        none ? kInfinity : maximum[r] * factor * kLn2 + std::log(total[r]);
  }
}

}  // namespace

int64_t few_scratch_bytes(const AttentionProblem& problem) {
  return 2 * Slice::bytes<float>(kFewRows * (problem.head_dim + kLanes));
}

void attend_few(const AttentionProblem& problem, int64_t b, int64_t kv_head, std::byte* scratch) {
  const Rows rows = rows_of(problem, b, kv_head);
  Slice memory(scratch);
  float* q = memory.take<float>(kFewRows * (problem.head_dim + kLanes));
  float* y = memory.take<float>(kFewRows * (problem.head_dim + kLanes));
  by_dtype(problem.q.dtype, [&]<typename T>(Type<T>) {
    switch (rows.count) {
      case 1: attend_rows<T, 1>(problem, rows, kv_head, q, y); break;
      case 2: attend_rows<T, 2>(problem, rows, kv_head, q, y); break;
      case 3: attend_rows<T, 3>(problem, rows, kv_head, q, y); break;
      default: attend_rows<T, 4>(problem, rows, kv_head, q, y); break;
    }
  });
}

}  // namespace mglmm::cpu
