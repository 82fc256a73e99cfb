// Stores past the caches, for outputs larger than these: a line that is written through them is read first, and drives out
// what is still needed.
#pragma once
#include <algorithm>
#include <array>

#include "cpu/simd.h"

namespace mglmm::cpu {

// Whether an output of so many bytes is: a third cache has about 32 MiB, and the next op finds what is in it.
constexpr bool exceeds_caches(int64_t bytes) { return bytes > int64_t{32} << 20; }

// `to` is aligned to what is stored. A fence comes before another thread reads.
template <typename T>
void store_past_caches(T* to, vfloat v) {
#if defined(__x86_64__)
  std::array<T, kLanes> line;
  store(line.data(), v);
  if constexpr (sizeof line == 64) {
    _mm512_stream_si512(reinterpret_cast<__m512i*>(to), std::bit_cast<__m512i>(line));
  } else if constexpr (sizeof line == 32) {
    _mm256_stream_si256(reinterpret_cast<__m256i*>(to), std::bit_cast<__m256i>(line));
  } else if constexpr (sizeof line == 16) {
    _mm_stream_si128(reinterpret_cast<__m128i*>(to), std::bit_cast<__m128i>(line));
  } else {
    store(to, v);
  }
#else
  store(to, v);
#endif
}

inline void fence_past_caches() {
#if defined(__x86_64__)
  _mm_sfence();
#endif
}

// to[i] = value(i, lanes...) over [begin, end). With `past_caches` a fence is to follow.
template <typename T, typename Value>
void store_by_lanes(T* to, int64_t begin, int64_t end, bool past_caches, Value&& value) {
  if (!past_caches) {
    return by_lanes(begin, end, [&](int64_t i, auto... lanes) { store(to + i, value(i, lanes...), lanes...); });
  }
  constexpr auto kWidth = static_cast<int64_t>(sizeof(T));
  const auto beyond = static_cast<int64_t>(reinterpret_cast<uintptr_t>(to + begin) / kWidth % kLanes);
  int64_t i = std::min(end, begin + (kLanes - beyond) % kLanes);
  if (i > begin) store(to + begin, value(begin, i - begin), i - begin);
  for (; i + kLanes <= end; i += kLanes) store_past_caches(to + i, value(i));
  if (i < end) store(to + i, value(i, end - i), end - i);
}

}  // namespace mglmm::cpu
