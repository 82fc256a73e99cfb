// Attention of a few queries over many keys, a step of generation: bound by reading keys and values once. Lanes run along
// headDim; the softmax keeps a running maximum over tiles of keys.
#include <cmath>

#include "cpu/attention/attend.h"
#include "cpu/attention/tile.h"

namespace mglmm::cpu {
namespace {

constexpr int64_t kFewKeys = 64;

constexpr int64_t kAhead = 16;  // keys: what memory delivers while so many are worked on

template <typename T>
void fetch(const T* from, int64_t count) {
  for (int64_t byte = 0; byte < count * static_cast<int64_t>(sizeof(T)); byte += 64) {
    __builtin_prefetch(reinterpret_cast<const char*>(from) + byte);
  }
}

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
void score_keys(const T* k, int64_t stride, int64_t keys, int64_t head_dim, const float* q, int64_t padded, float* scores) {
  for (int64_t first = 0; first < keys; first += kLanes) {
    vfloat blocks[kRows][kLanes] = {};
    const int64_t count = std::min<int64_t>(kLanes, keys - first);
    for (int64_t j = 0; j < count; ++j, k += stride) {
      fetch(k + kAhead * stride, head_dim);
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
void add_value_vectors(const T* v, int64_t stride, int64_t keys, int64_t d, int64_t lanes, const float* p, float* y,
                       int64_t padded) {
  vfloat sums[kRows][kVectors];
  for (int r = 0; r < kRows; ++r) {
    for (int n = 0; n < kVectors; ++n) sums[r][n] = load(y + r * padded + d + n * kLanes);
  }
  const T* from = v + d;
  for (int64_t j = 0; j < keys; ++j, from += stride) {
    fetch(from + kAhead * stride, kVectors * kLanes);
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
void add_values(const T* v, int64_t stride, int64_t keys, int64_t head_dim, const float* p, float* y, int64_t padded) {
  constexpr int kVectors = 4;  // sums in flight enough to hide the latency of one
  int64_t d = 0;
  for (; d + kVectors * kLanes <= head_dim; d += kVectors * kLanes) {
    add_value_vectors<T, kRows, kVectors>(v, stride, keys, d, kLanes, p, y, padded);
  }
  for (; d < head_dim; d += kLanes) {
    add_value_vectors<T, kRows, 1>(v, stride, keys, d, std::min<int64_t>(kLanes, head_dim - d), p, y, padded);
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
    const Heads& k = problem.k;
    const Heads& v = problem.v;
    score_keys<T, kRows>(k.at<const T>(rows.batch, kv_head, first), k.token_stride, count, head_dim, q, padded, scores);
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
    add_values<T, kRows>(v.at<const T>(rows.batch, kv_head, first), v.token_stride, count, head_dim, scores, y, padded);
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
