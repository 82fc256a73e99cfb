// Random numbers that are a function of (seed, place) alone: Philox 4x32-10, Salmon et al. 2011, "Parallel random numbers:
// as easy as 1, 2, 3". Every backend and every split of the work gives the same bits.
//
// Where an op speaks of places, place p is word p % 4 of the counter (p / 4 low, p / 4 high, 0, 0); the key is the seed.
#pragma once
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>

namespace mglmm {

constexpr std::array<uint32_t, 4> philox(std::array<uint32_t, 4> counter, uint64_t seed) {
  auto key0 = static_cast<uint32_t>(seed);
  auto key1 = static_cast<uint32_t>(seed >> 32);
  for (int round = 0; round < 10; ++round) {
    const uint64_t product0 = uint64_t{0xD2511F53} * counter[0];
    const uint64_t product1 = uint64_t{0xCD9E8D57} * counter[2];
    counter = {static_cast<uint32_t>(product1 >> 32) ^ counter[1] ^ key0, static_cast<uint32_t>(product1),
               static_cast<uint32_t>(product0 >> 32) ^ counter[3] ^ key1, static_cast<uint32_t>(product0)};
    key0 += 0x9E3779B9;
    key1 += 0xBB67AE85;
  }
  return counter;
}

// [0, 1) in steps of 2^-24.
constexpr float unit_uniform(uint32_t bits) { return static_cast<float>(bits >> 8) * 0x1p-24F; }

// Two standard normal numbers of two words. Box, Muller 1958. Every operation is rounded to f32 by itself: compiled without
// contraction to fused multiply-adds (square roots and divisions are exact by IEEE 754), all backends give the same bits.
constexpr std::array<float, 2> box_muller(uint32_t first, uint32_t second) {
  // log(u) of u in (0, 1], u = m 2^e with m in [sqrt(1/2), sqrt(2)): e ln 2 + 2 atanh((m - 1) / (m + 1)).
  const float u = static_cast<float>((first >> 8) + 1) * 0x1p-24F;
  const auto shifted = static_cast<int32_t>(std::bit_cast<uint32_t>(u) - 0x3f3504f3);  // above sqrt(1/2)
  const int32_t exponent = shifted >> 23;
  const float m = std::bit_cast<float>((shifted & 0x007fffff) + 0x3f3504f3);
  const float s = (m - 1.0F) / (m + 1.0F);
  const float s2 = s * s;
  const float series = 1.0F + s2 * (0.333333343F + s2 * (0.2F + s2 * (0.142857149F + s2 * 0.111111112F)));
  const float log_u = static_cast<float>(exponent) * 0.693147182F + 2.0F * s * series;
  const float radius = std::sqrt(-2.0F * log_u);
  // The angle is `turn` of 2^24 in a circle: quarters by rotation, the rest by the series of sine and cosine.
  const auto turn = static_cast<int32_t>(second >> 8);
  const int32_t quarter = (turn + 0x200000) >> 22;
  const float angle = static_cast<float>(turn - quarter * 0x400000) * 3.74507039e-7F;  // 2 pi / 2^24
  const float a2 = angle * angle;
  const float sine =
      angle * (1.0F + a2 * (-0.166666672F + a2 * (8.33333377e-3F + a2 * (-1.98412701e-4F + a2 * 2.75573188e-6F))));
  const float cosine =
      1.0F + a2 * (-0.5F + a2 * (4.16666679e-2F + a2 * (-1.38888892e-3F + a2 * (2.48015876e-5F + a2 * -2.75573199e-7F))));
  const float x = (quarter & 1) != 0 ? sine : cosine;
  const float y = (quarter & 1) != 0 ? cosine : sine;
  return {radius * (((quarter + 1) & 2) != 0 ? -x : x), radius * ((quarter & 2) != 0 ? -y : y)};
}

}  // namespace mglmm
