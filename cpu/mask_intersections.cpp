// Masks are mostly empty, so each gets a map of its blocks of 64 bytes that have a pixel; a pair looks only at blocks that
// both have. Two masks that are far apart cost one AND per 64 blocks.
#include "kernels/mask_intersections.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "cpu/parallel.h"
#include "cpu/simd.h"
#include "kernels/stream.h"

namespace mglmm::cpu {
namespace {

constexpr int64_t kBlock = 64;  // bytes

struct Masks {
  const uint8_t* bits;
  int64_t bytes;   // of one mask
  int64_t words;   // of one map
  uint64_t* maps;  // bit k of mask i's map: block k has a pixel
  int64_t* spans;  // words spans[2 i] .. spans[2 i + 1] - 1 of mask i's map are not all 0
};

// The words that the maps of mask i of a and mask j of b may share.
struct Span {
  int64_t begin, end;
  Span(const Masks& a, int64_t i, const Masks& b, int64_t j)
      : begin(std::max(a.spans[2 * i], b.spans[2 * j])), end(std::min(a.spans[2 * i + 1], b.spans[2 * j + 1])) {}
};

Masks mapped(const uint8_t* bits, int64_t count, int64_t bytes, Stream& stream) {
  const int64_t words = (bytes + 64 * kBlock - 1) / (64 * kBlock);
  const Masks masks{bits, bytes, words, stream.scratch_of<uint64_t>(count * words), stream.scratch_of<int64_t>(2 * count)};
  parallel_ranges(count, 1, [=](int64_t begin, int64_t end) {
    for (int64_t mask = begin; mask < end; ++mask) {
      uint64_t* map = masks.maps + mask * words;
      std::fill(map, map + words, 0);
      const uint8_t* one = bits + mask * bytes;
      for (int64_t first = 0; first < bytes; first += kBlock) {
        uint64_t any = 0;
        for (int64_t i = first; i < std::min(first + kBlock, bytes); i += 8) {
          uint64_t word;
          std::memcpy(&word, one + i, sizeof word);
          any |= word;
        }
        const int64_t block = first / kBlock;
        map[block / 64] |= static_cast<uint64_t>(any != 0) << (block % 64);
      }
      int64_t from = 0;
      int64_t to = words;
      while (from < to && map[from] == 0) ++from;
      while (from < to && map[to - 1] == 0) --to;
      masks.spans[2 * mask] = from;
      masks.spans[2 * mask + 1] = to;
    }
  });
  return masks;
}

inline int64_t bits_in_both(const uint8_t* a, const uint8_t* b, int64_t bytes) {
  int64_t count = 0;
  for (int64_t i = 0; i < bytes; i += 8) {
    uint64_t first, second;
    std::memcpy(&first, a + i, 8);
    std::memcpy(&second, b + i, 8);
    count += std::popcount(first & second);
  }
  return count;
}

// Pixels that mask i of a and mask j of b share.
int64_t intersection(const Masks& a, int64_t i, const Masks& b, int64_t j) {
  const uint8_t* first = a.bits + i * a.bytes;
  const uint8_t* second = b.bits + j * b.bytes;
  int64_t count = 0;
  const Span span(a, i, b, j);
  for (int64_t word = span.begin; word < span.end; ++word) {
    for (uint64_t both = a.maps[i * a.words + word] & b.maps[j * b.words + word]; both != 0; both &= both - 1) {
      const int64_t offset = (64 * word + std::countr_zero(both)) * kBlock;
      count += bits_in_both(first + offset, second + offset, std::min(kBlock, a.bytes - offset));
    }
  }
  return count;
}

#if defined(__AVX512F__)
__attribute__((target("avx512vpopcntdq"))) int64_t intersection_vpopcnt(const Masks& a, int64_t i, const Masks& b,
                                                                        int64_t j) {
  const uint8_t* first = a.bits + i * a.bytes;
  const uint8_t* second = b.bits + j * b.bytes;
  const uint64_t* map = a.maps + i * a.words;
  const uint64_t* other = b.maps + j * b.words;
  __m512i counts = _mm512_setzero_si512();
  int64_t rest = 0;
  const Span span(a, i, b, j);
  for (int64_t word = span.begin; word < span.end; ++word) {
    for (uint64_t both = map[word] & other[word]; both != 0; both &= both - 1) {
      const int64_t offset = (64 * word + std::countr_zero(both)) * kBlock;
      if (offset + kBlock > a.bytes) {
        rest += bits_in_both(first + offset, second + offset, a.bytes - offset);
        continue;
      }
      const __m512i shared = _mm512_and_si512(_mm512_loadu_si512(first + offset), _mm512_loadu_si512(second + offset));
      counts = _mm512_add_epi64(counts, _mm512_popcnt_epi64(shared));
    }
  }
  int64_t lanes[8];
  _mm512_storeu_si512(lanes, counts);
  for (const int64_t lane : lanes) rest += lane;
  return rest;
}
#endif

}  // namespace

void run(const MaskIntersections& op, Stream& stream) {
  if (op.counts.count() == 0) return;
  const int64_t n = op.a.shape[0];
  const int64_t m = op.b.shape[0];
  const int64_t bytes = op.a.count() / n;
  const Masks a = mapped(op.a.data<uint8_t>(), n, bytes, stream);
  const bool same = op.a.raw() == op.b.raw() && n == m;
  const Masks b = same ? a : mapped(op.b.data<uint8_t>(), m, bytes, stream);
  auto* pair = &intersection;
#if defined(__AVX512F__)
  if (__builtin_cpu_supports("avx512vpopcntdq")) pair = &intersection_vpopcnt;
#endif
  auto* counts = op.counts.data<int32_t>();
  parallel_pieces(n, [=](int64_t i) {
    for (int64_t j = 0; j < m; ++j) counts[i * m + j] = static_cast<int32_t>(pair(a, i, b, j));
  });
}

}  // namespace mglmm::cpu
