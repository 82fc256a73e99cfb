// Pixels as bits, 64 to a word, the first pixel the lowest bit.
#pragma once
#include <cstdint>
#include <cstring>

#include "cpu/simd.h"

namespace mglmm::cpu {

static_assert(std::endian::native == std::endian::little, "bit k of a row is bit k mod 8 of byte k / 8");

// Bits of 64 bytes: 1 where the byte is above `threshold`, at most 255.
inline uint64_t bits_above(const uint8_t* pixels, uint8_t threshold) {
#if defined(__AVX512BW__)
  return _mm512_cmpgt_epu8_mask(_mm512_loadu_si512(pixels), _mm512_set1_epi8(static_cast<char>(threshold)));
#elif defined(__SSE4_1__)
  uint64_t word = 0;
  const __m128i floor = _mm_set1_epi8(static_cast<char>(threshold));
  for (int k = 0; k < 4; ++k) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(pixels + 16 * k));
    // a <= b exactly where max(a, b) is b
    const int not_above = _mm_movemask_epi8(_mm_cmpeq_epi8(_mm_max_epu8(bytes, floor), floor));
    word |= static_cast<uint64_t>(~not_above & 0xffff) << (16 * k);
  }
  return word;
#else
  uint64_t word = 0;
  for (int k = 0; k < 64; ++k) word |= static_cast<uint64_t>(pixels[k] > threshold) << k;
  return word;
#endif
}

// The same of `count` <= 64 bytes; the other bits are 0.
inline uint64_t bits_above(const uint8_t* pixels, uint8_t threshold, int64_t count) {
  uint8_t bytes[64] = {};
  std::memcpy(bytes, pixels, static_cast<size_t>(count));
  const uint64_t word = bits_above(bytes, threshold);
  return count < 64 ? word & ((uint64_t{1} << count) - 1) : word;
}

// Bytes 0 and 1 of the 64 bits of `word`.
inline void bytes_of(uint64_t word, uint8_t* pixels) {
#if defined(__AVX512BW__)
  _mm512_storeu_si512(pixels, _mm512_maskz_set1_epi8(word, 1));
#else
  for (int k = 0; k < 8; ++k) {  // each byte gets its bit by a product that spreads a byte, then a test
    const uint64_t spread = ((word >> (8 * k)) & 0xff) * 0x0101010101010101U & 0x8040201008040201U;
    const uint64_t bytes = ((spread + 0x7f7f7f7f7f7f7f7fU) >> 7 | spread >> 7) & 0x0101010101010101U;
    std::memcpy(pixels + 8 * k, &bytes, 8);
  }
#endif
}

// Transposes 64 x 64 bits in place: bit c of word r changes place with bit r of word c.
inline void transpose_bits(uint64_t* words) {
  uint64_t mask = 0x00000000ffffffffU;
  for (int width = 32; width > 0; width >>= 1, mask ^= mask << width) {
    for (int first = 0; first < 64; first += 2 * width) {
      for (int r = first; r < first + width; ++r) {
        const uint64_t exchanged = ((words[r] >> width) ^ words[r + width]) & mask;
        words[r] ^= exchanged << width;
        words[r + width] ^= exchanged;
      }
    }
  }
}

}  // namespace mglmm::cpu
