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
  int64_t bytes;         // of one mask
  int64_t words;         // of one map
  const uint64_t* maps;  // bit k of mask i's map: block k has a pixel
};

void map_blocks(const uint8_t* bits, int64_t masks, int64_t bytes, int64_t words, uint64_t* maps) {
  parallel_ranges(masks, 1, [=](int64_t begin, int64_t end) {
    std::memset(maps + begin * words, 0, static_cast<size_t>((end - begin) * words) * sizeof(uint64_t));
    for (int64_t mask = begin; mask < end; ++mask) {
      const uint8_t* one = bits + mask * bytes;
      for (int64_t first = 0; first < bytes; first += kBlock) {
        uint64_t any = 0;
        for (int64_t i = first; i < std::min(first + kBlock, bytes); i += 8) {
          uint64_t word;
          std::memcpy(&word, one + i, sizeof word);
          any |= word;
        }
        const int64_t block = first / kBlock;
        maps[mask * words + block / 64] |= static_cast<uint64_t>(any != 0) << (block % 64);
      }
    }
  });
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
  for (int64_t word = 0; word < a.words; ++word) {
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
  for (int64_t word = 0; word < a.words; ++word) {
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
  const int64_t words = (bytes + 64 * kBlock - 1) / (64 * kBlock);
  auto* maps = stream.scratch_of<uint64_t>((n + m) * words);
  map_blocks(op.a.data<uint8_t>(), n, bytes, words, maps);
  map_blocks(op.b.data<uint8_t>(), m, bytes, words, maps + n * words);
  const Masks a{op.a.data<uint8_t>(), bytes, words, maps};
  const Masks b{op.b.data<uint8_t>(), bytes, words, maps + n * words};
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
