// The random words of kernels/philox.h for stretches of places, many blocks at once so that the compiler makes vectors of
// them.
#pragma once
#include <algorithm>
#include <cstdint>

#include "cpu/parallel.h"
#include "kernels/philox.h"

namespace mglmm::cpu {

inline constexpr int kBlocks = 16;
inline constexpr int kWords = 4 * kBlocks;

// words[4 * i + k] is word k of block first + i.
inline void random_words(uint64_t seed, uint64_t first, uint32_t* words) {
  uint32_t c0[kBlocks], c1[kBlocks], c2[kBlocks] = {}, c3[kBlocks] = {};
  for (int i = 0; i < kBlocks; ++i) {
    c0[i] = static_cast<uint32_t>(first + static_cast<uint64_t>(i));
    c1[i] = static_cast<uint32_t>((first + static_cast<uint64_t>(i)) >> 32);
  }
  auto key0 = static_cast<uint32_t>(seed);
  auto key1 = static_cast<uint32_t>(seed >> 32);
  for (int round = 0; round < 10; ++round) {
    for (int i = 0; i < kBlocks; ++i) {
      const uint64_t product0 = uint64_t{0xD2511F53} * c0[i];
      const uint64_t product2 = uint64_t{0xCD9E8D57} * c2[i];
      c0[i] = static_cast<uint32_t>(product2 >> 32) ^ c1[i] ^ key0;
      c2[i] = static_cast<uint32_t>(product0 >> 32) ^ c3[i] ^ key1;
      c1[i] = static_cast<uint32_t>(product2);
      c3[i] = static_cast<uint32_t>(product0);
    }
    key0 += 0x9E3779B9;
    key1 += 0xBB67AE85;
  }
  for (int i = 0; i < kBlocks; ++i) {
    words[4 * i] = c0[i];
    words[4 * i + 1] = c1[i];
    words[4 * i + 2] = c2[i];
    words[4 * i + 3] = c3[i];
  }
}

// Calls `body(i, count, words, skipped)` for stretches of [0, total): element i has the word words[skipped] of all kWords of
// its stretch, which start at a multiple of 4 places; elements i + 1 ... the words after it.
template <typename Body>
void by_random_words(int64_t seed, int64_t offset, int64_t total, Body&& body) {
  parallel_ranges(total, kElementGrain, [&](int64_t begin, int64_t end) {
    alignas(64) uint32_t words[kWords];
    const int64_t last = offset + end;
    for (int64_t place = (offset + begin) / 4 * 4; place < last; place += kWords) {
      random_words(static_cast<uint64_t>(seed), static_cast<uint64_t>(place / 4), words);
      const int64_t from = std::max(place, offset + begin);
      body(from - offset, std::min(place + kWords, last) - from, words, from - place);
    }
  });
}

}  // namespace mglmm::cpu
