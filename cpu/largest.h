// The largest of many values: one, or the first k in order. Values are compared as integers that sort as they do, a NaN
// above all and -0 as 0; of equals the lower index comes first.
#pragma once
#include <algorithm>
#include <bit>
#include <limits>
#include <vector>

#include "cpu/simd.h"

namespace mglmm::cpu {

struct Candidate {
  int32_t key;
  int32_t index;
  bool operator<(const Candidate& other) const {  // comes before
    return key > other.key || (key == other.key && index < other.index);
  }
};

inline vint sort_keys(vfloat v) {
  const vint bits = std::bit_cast<vint>(v + 0.0F);  // -0 + 0 is 0
  const vint keys = bits ^ ((bits >> 31) & 0x7fffffff);
  return v != v ? vint{} + std::numeric_limits<int32_t>::max() : keys;
}

// A bit for each lane with keys[lane] > bound.
inline uint32_t lanes_above(vint keys, int32_t bound) {
#if defined(__AVX512F__)
  return _mm512_cmpgt_epi32_mask(std::bit_cast<__m512i>(keys), _mm512_set1_epi32(bound));
#else
  uint32_t bits = 0;
  for (int lane = 0; lane < kLanes; ++lane) bits |= static_cast<uint32_t>(keys[lane] > bound) << lane;
  return bits;
#endif
}

// Calls `body(key, index)` in order of index for each value whose key is above `bound()` when its vector is reached.
template <typename T, typename Bound, typename Body>
void for_each_above(const T* values, int64_t begin, int64_t end, Bound&& bound, Body&& body) {
  const auto visit = [&](vint keys, int64_t i, uint32_t mask) {
    for (uint32_t above = lanes_above(keys, bound()) & mask; above != 0; above &= above - 1) {
      const int lane = std::countr_zero(above);
      body(keys[lane], static_cast<int32_t>(i + lane));
    }
  };
  constexpr int kGroup = 8;
  constexpr uint32_t kAll = (uint32_t{1} << kLanes) - 1;
  int64_t i = begin;
  for (; i + kGroup * kLanes <= end; i += kGroup * kLanes) {
    vint keys[kGroup];
    for (int k = 0; k < kGroup; ++k) keys[k] = sort_keys(load(values + i + k * kLanes));
    vint most = keys[0];
    for (int k = 1; k < kGroup; ++k) most = most > keys[k] ? most : keys[k];
    if (lanes_above(most, bound()) == 0) continue;
    for (int k = 0; k < kGroup; ++k) visit(keys[k], i + k * kLanes, kAll);
  }
  for (; i + kLanes <= end; i += kLanes) visit(sort_keys(load(values + i)), i, kAll);
  if (i < end) visit(sort_keys(load(values + i, end - i)), i, (uint32_t{1} << (end - i)) - 1);
}

// count >= 1.
template <typename T>
int32_t index_of_largest(const T* values, int64_t count) {
  Candidate best{sort_keys(splat(static_cast<float>(values[0])))[0], 0};
  for_each_above(
      values, 1, count, [&] { return best.key; },
      [&](int32_t key, int32_t index) {
        if (key > best.key) best = {key, index};
      });
  return best.index;
}

// `largest` becomes the first k values in order; k <= count. A heap whose front is the last of them.
template <typename T>
void find_largest(const T* values, int64_t count, int64_t k, std::vector<Candidate>& largest) {
  largest.clear();
  if (k == 0) return;
  for (int64_t i = 0; i < k; ++i) {
    largest.push_back({sort_keys(splat(static_cast<float>(values[i])))[0], static_cast<int32_t>(i)});
  }
  std::make_heap(largest.begin(), largest.end());
  for_each_above(
      values, k, count, [&] { return largest.front().key; },
      [&](int32_t key, int32_t index) {
        if (key <= largest.front().key) return;
        std::pop_heap(largest.begin(), largest.end());
        largest.back() = {key, index};
        std::push_heap(largest.begin(), largest.end());
      });
  std::sort_heap(largest.begin(), largest.end());
}

}  // namespace mglmm::cpu
