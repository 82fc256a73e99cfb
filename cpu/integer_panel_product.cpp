#include "cpu/integer_panel_product.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>

#include "cpu/panel_product/result.h"
#include "cpu/panel_product/tiles.h"
#include "cpu/parallel.h"
#include "cpu/simd.h"

// A strip of 6 rows by a panel of 64 outputs has its dots in 24 vectors that wait for no other. For each group of inputs the
// weight's part is made bytes that the first cache holds while the strips pass by it, in the order they are packed in.
namespace mglmm::cpu {

#if defined(__AVX512VNNI__)
namespace {

constexpr int64_t kMostStrips = 120;  // of a block: their sums stay in the second cache
constexpr float kReach = 8;           // times the mean magnitude
constexpr int64_t kWords = kQuantizedGroup / 4;
// The magnitudes of a group sum up to 128 / kReach times what a byte holds at most.
constexpr int64_t kMostWords = kWords + kStrip * static_cast<int64_t>(kQuantizedGroup / kReach);

// Four inputs of a strip's rows, and where the weight's panel has them: bytes from the beginning of the group.
struct Word {
  int32_t place;
  int32_t inputs[kStrip];
};

// A group of a strip: x = step * the sum of the bytes of its words, which follow it.
struct Group {
  int32_t words;
  int32_t starts[kStrip];  // what the dots begin with
  float steps[kStrip];
  float sums[kStrip];  // of x
};

// A group of a panel: weight = scale * (byte + what Group::starts stands for) + minimum.
struct Block {
  alignas(64) uint8_t values[kQuantizedGroup * kPanel];
  float scales[kPanel];
  float minimums[kPanel];
};

void make_block(const QuantizedPanel& panel, int64_t group, int64_t inputs, Block& block) {
  const __m512i mask = _mm512_set1_epi32(panel.minimums ? 0x0f0f0f0f : static_cast<int>(0x80808080U));
  uint8_t* to = block.values;
  if (panel.minimums) {
    const uint8_t* from = panel.values + group * kQuantizedGroup * kPanel / 2;
    for (int64_t i = 0; i < inputs; i += 8, from += kPanel * 4, to += kPanel * 8) {
      for (int64_t v = 0; v < kPanel * 4; v += 64) {
        __builtin_prefetch(from + v + kAhead);
        const __m512i words = _mm512_loadu_si512(from + v);
        _mm512_store_si512(to + v, _mm512_and_si512(words, mask));
        _mm512_store_si512(to + kPanel * 4 + v, _mm512_and_si512(_mm512_srli_epi32(words, 4), mask));
      }
    }
  } else {
    const uint8_t* from = panel.values + group * kQuantizedGroup * kPanel;
    for (int64_t at = 0; at < inputs * kPanel; at += 64) {
      __builtin_prefetch(from + at + kAhead);
      _mm512_store_si512(to + at, _mm512_xor_si512(_mm512_loadu_si512(from + at), mask));
    }
  }
  for (int64_t o = 0; o < kPanel; o += kLanes) {
    store(block.scales + o, load(panel.scales + group * kPanel + o));
    if (panel.minimums) store(block.minimums + o, load(panel.minimums + group * kPanel + o));
  }
}

// Leaves of each of 16 numbers what a byte does not hold, and says of which four something is left.
uint32_t take_bytes(__m512i numbers, int32_t* left) {
  const __m512i taken = _mm512_max_epi32(_mm512_min_epi32(numbers, _mm512_set1_epi32(127)), _mm512_set1_epi32(-127));
  const __m512i rest = _mm512_sub_epi32(numbers, taken);
  _mm512_store_si512(left, rest);
  const uint32_t lanes = _mm512_test_epi32_mask(rest, rest);
  uint32_t words = 0;
  for (int w = 0; w < 4; ++w) words |= static_cast<uint32_t>((lanes >> (w * 4) & 15U) != 0) << w;
  return words;
}

// Inputs [first, first + kQuantizedGroup) of the rows [row, row + 6) of x; what is outside of x is 0. False when an element
// is not finite.
template <typename T>
bool pack_group(const LinearSizes& s, const T* x, int64_t row, int64_t first, bool four_bits, Group& group, Word* words) {
  const int64_t inputs = std::min(kQuantizedGroup, s.in - first);
  const int64_t vectors = round_up(inputs, 32) / kLanes;
  alignas(64) int32_t left[kStrip][kQuantizedGroup];  // of the numbers, in steps; of rows that have any
  bool has_left[kStrip];
  uint32_t beyond = 0;  // words of which something is left
  for (int64_t r = 0; r < kStrip; ++r) {
    const T* from = x + (row + r) * s.in + first;
    vfloat values[kQuantizedGroup / kLanes] = {};
    vfloat largest{}, magnitudes{};
    by_lanes(0, row + r < s.rows ? inputs : 0, [&](int64_t i, auto... lanes) {
      const vfloat value = load(from + i, lanes...);
      const vfloat magnitude = std::bit_cast<vfloat>(std::bit_cast<vuint>(value) & 0x7fffffffU);
      values[i / kLanes] = value;
      largest = max(largest, magnitude);
      magnitudes += magnitude;
    });
    const float most = _mm512_reduce_max_ps(std::bit_cast<__m512>(largest));
    const float total = _mm512_reduce_add_ps(std::bit_cast<__m512>(magnitudes));
    if (std::isnan(total) || std::isinf(most)) return false;
    // Below 2^-100 steps grow no finer, for their inverse to be finite.
    const float reach = std::max(std::min(most, kReach / static_cast<float>(inputs) * total), 0x1p-100F);
    const float inverse = 127 / reach;
    has_left[r] = most > reach;
    __m512i number_sum = _mm512_setzero_si512();
    for (int64_t v = 0; v < vectors; ++v) {
      const __m512i numbers = _mm512_cvtps_epi32(std::bit_cast<__m512>(values[v] * inverse));
      const __m128i bytes = _mm512_cvtsepi32_epi8(_mm512_max_epi32(numbers, _mm512_set1_epi32(-127)));
      number_sum = _mm512_add_epi32(number_sum, numbers);
      int32_t quads[4];
      std::memcpy(quads, &bytes, sizeof bytes);
      for (int64_t w = 0; w < 4; ++w) words[v * 4 + w].inputs[r] = quads[w];
      if (has_left[r]) beyond |= take_bytes(numbers, left[r] + v * kLanes) << (v * 4);
    }
    const int32_t numbers = _mm512_reduce_add_epi32(number_sum);
    group.steps[r] = reach / 127;
    group.sums[r] = group.steps[r] * static_cast<float>(numbers);
    group.starts[r] = four_bits ? 0 : -128 * numbers;
  }
  group.words = static_cast<int32_t>(vectors * 4);
  for (int32_t w = 0; w < group.words; ++w) words[w].place = w * static_cast<int32_t>(kPanel) * 4;
  for (; beyond != 0; beyond &= beyond - 1) {
    const int w = __builtin_ctz(beyond);
    for (bool more = true; more;) {
      more = false;
      Word& word = words[group.words++];
      word = {.place = words[w].place, .inputs = {}};
      for (int64_t r = 0; r < kStrip; ++r) {
        if (!has_left[r]) continue;
        int8_t bytes[4];
        for (int i = 0; i < 4; ++i) {
          int32_t& number = left[r][w * 4 + i];
          bytes[i] = static_cast<int8_t>(std::clamp(number, -127, 127));
          number -= bytes[i];
          more |= number != 0;
        }
        std::memcpy(&word.inputs[r], bytes, sizeof bytes);
      }
    }
  }
  return true;
}

// sums [6][64] += a group of a strip by one of a panel.
template <bool HasMinimums>
void multiply(const Group& x, const Block& block, float* sums) {
  vint dots[kStrip][kPanelVectors];  // as __m512i GCC 12 keeps each twice
#pragma GCC unroll 6
  for (int64_t r = 0; r < kStrip; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < kPanelVectors; ++v) dots[r][v] = x.starts[r] - vint{};
  }
  const auto* word = reinterpret_cast<const Word*>(&x + 1);
  const Word* end = word + x.words;
  do {
    __m512i weights[kPanelVectors];
#pragma GCC unroll 4
    for (int v = 0; v < kPanelVectors; ++v) weights[v] = _mm512_load_si512(block.values + word->place + v * 64);
#pragma GCC unroll 6
    for (int64_t r = 0; r < kStrip; ++r) {
      const __m512i inputs = _mm512_set1_epi32(word->inputs[r]);
#pragma GCC unroll 4
      for (int v = 0; v < kPanelVectors; ++v) {
        dots[r][v] = std::bit_cast<vint>(_mm512_dpbusd_epi32(std::bit_cast<__m512i>(dots[r][v]), weights[v], inputs));
      }
    }
  } while (++word < end);
  vfloat scales[kPanelVectors];
#pragma GCC unroll 4
  for (int v = 0; v < kPanelVectors; ++v) scales[v] = load(block.scales + v * kLanes);
#pragma GCC unroll 6
  for (int64_t r = 0; r < kStrip; ++r) {
    const vfloat step = splat(x.steps[r]), x_sum = splat(x.sums[r]);
#pragma GCC unroll 4
    for (int v = 0; v < kPanelVectors; ++v) {
      float* total = sums + r * kPanel + v * kLanes;
      vfloat value = load(total) + __builtin_convertvector(dots[r][v], vfloat) * (scales[v] * step);
      if constexpr (HasMinimums) value += load(block.minimums + v * kLanes) * x_sum;
      store(total, value);
    }
  }
}

}  // namespace

bool integer_panel_product(const LinearSizes& s, Dtype dtype, const std::byte* x, const QuantizedWeight& weight,
                           const std::byte* bias, std::byte* y, Stream& stream) {
  if (dtype == Dtype::f32 || has_tiles()) return false;
  constexpr int64_t kMostBytes = sizeof(Group) + kMostWords * sizeof(Word);
  const bool four_bits = static_cast<bool>(weight.minimums);
  const int64_t groups = weight.scales.shape[1];
  const int64_t strips = (s.rows + kStrip - 1) / kStrip;
  const int64_t panels = (s.out + kPanel - 1) / kPanel;
  const int64_t blocks = (strips + kMostStrips - 1) / kMostStrips;
  // Where in memory each strip's part of a group begins; a group's are one after the other.
  auto* packed = stream.scratch_of<int64_t>(groups * strips);
  std::byte* memory = stream.scratch(groups * strips * kMostBytes);
  std::atomic<bool> is_finite = true;
  by_dtype(dtype, [&]<typename T>(Type<T>) {
    parallel_ranges(groups, 1, [&](int64_t begin, int64_t end) {
      for (int64_t group = begin; group < end; ++group) {
        std::byte* to = memory + group * strips * kMostBytes;
        for (int64_t strip = 0; strip < strips; ++strip) {
          auto* header = reinterpret_cast<Group*>(to);
          auto* words = reinterpret_cast<Word*>(header + 1);
          if (!pack_group(s, reinterpret_cast<const T*>(x), strip * kStrip, group * kQuantizedGroup, four_bits, *header,
                          words)) {
            is_finite = false;
            return;
          }
          packed[group * strips + strip] = reinterpret_cast<std::byte*>(header) - memory;
          to = reinterpret_cast<std::byte*>(words + header->words);
        }
      }
    });
  });
  if (!is_finite) return false;
  const int64_t most_strips = (strips + blocks - 1) / blocks;
  float* all_sums = stream.scratch_of<float>(most_strips * kStripSums * thread_count());
  by_dtype(dtype, [&]<typename T>(Type<T>) {
    const Result<T, T> result{reinterpret_cast<const T*>(bias), nullptr, reinterpret_cast<T*>(y), s.rows, s.out};
    parallel_ranges(panels * blocks, 1, [&](int64_t begin, int64_t end) {
      Block block;
      float* sums = all_sums + thread_index() * most_strips * kStripSums;
      for (int64_t task = begin; task < end; ++task) {
        const int64_t panel = task / blocks;
        const int64_t first = task % blocks * strips / blocks, last = (task % blocks + 1) * strips / blocks;
        std::fill(sums, sums + (last - first) * kStripSums, 0.0F);
        for (int64_t group = 0; group < groups; ++group) {
          make_block(panel_of(weight, panel), group, std::min(kQuantizedGroup, padded_in(weight) - group * kQuantizedGroup),
                     block);
          const auto product = four_bits ? multiply<true> : multiply<false>;
          for (int64_t strip = first; strip < last; ++strip) {
            const auto* x_group = reinterpret_cast<const Group*>(memory + packed[group * strips + strip]);
            product(*x_group, block, sums + (strip - first) * kStripSums);
          }
        }
        for (int64_t strip = first; strip < last; ++strip) {
          result.write(sums + (strip - first) * kStripSums, strip * kStrip, panel * kPanel);
        }
      }
      fence_past_caches();
    });
  });
  return true;
}

#else

bool integer_panel_product(const LinearSizes&, Dtype, const std::byte*, const QuantizedWeight&, const std::byte*, std::byte*,
                           Stream&) {
  return false;
}

#endif

}  // namespace mglmm::cpu
