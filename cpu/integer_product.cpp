#include "cpu/integer_product.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "cpu/parallel.h"
#include "cpu/row_product.h"
#include "cpu/simd.h"

namespace mglmm::cpu {

#if defined(__AVX512VNNI__)
namespace {

constexpr int kParts = 3;
using vbytes = int8_t __attribute__((vector_size(kLanes)));

// One group of a row of x: x[i] = step * (parts[2][i] * 65536 + parts[1][i] * 256 + parts[0][i]); padding is 0.
struct Group {
  int8_t parts[kParts][kQuantizedGroup];
  int32_t part_sums[kParts];
  float step;
  float sum;  // of x
};

// False when an element is not finite.
bool take_apart(const float* x, int64_t count, Group& group) {
  vuint most{};
  by_lanes(0, count, [&](int64_t i, auto... lanes) {
    const vuint magnitude = std::bit_cast<vuint>(load(x + i, lanes...)) & 0x7fffffffU;
    most = magnitude > most ? magnitude : most;
  });
  uint32_t largest = 0;
  for (int lane = 0; lane < kLanes; ++lane) largest = std::max(largest, most[lane]);
  if (largest >= 0x7f800000U) return false;
  // 2^22 steps reach beyond the largest element; below 2^-104 steps grow no finer, for their inverse to be finite.
  const int exponent = std::max(static_cast<int>(largest >> 23) - 127, -104) - 21;
  const float inverse = std::ldexp(1.0F, -exponent);
  std::memset(&group, 0, sizeof group);
  group.step = std::ldexp(1.0F, exponent);
  by_lanes(0, count, [&](int64_t i, auto... lanes) {
    const vfloat steps = load(x + i, lanes...) * inverse;
    auto rest = std::bit_cast<vint>(_mm512_cvtps_epi32(std::bit_cast<__m512>(steps)));
    for (int part = 0; part < kParts; ++part) {
      const vint low = (rest << 24) >> 24;
      rest = (rest - low) >> 8;
      const vbytes bytes = __builtin_convertvector(low, vbytes);
      std::memcpy(group.parts[part] + i, &bytes, sizeof bytes);
      group.part_sums[part] += _mm512_reduce_add_epi32(std::bit_cast<__m512i>(low));
    }
  });
  group.sum = group.step * (static_cast<float>(group.part_sums[2]) * 65536.0F +
                            static_cast<float>(group.part_sums[1]) * 256.0F + static_cast<float>(group.part_sums[0]));
  return true;
}

__m512i four_inputs(const int8_t* part) {
  int32_t word = 0;
  std::memcpy(&word, part, sizeof word);
  return _mm512_set1_epi32(word);
}

// The 64 outputs' products with a group of x, exact; `values` are the weight's words of that group's `inputs`.
template <bool FourBits>
void group_dots(const uint8_t* values, int64_t inputs, const Group& x, __m512i (&dots)[kParts][kPanelVectors]) {
  for (int part = 0; part < kParts; ++part) {
    // The instruction multiplies unsigned by signed bytes: int8 values are taken 128 larger.
    const __m512i start = _mm512_set1_epi32(FourBits ? 0 : -128 * x.part_sums[part]);
#pragma GCC unroll 4
    for (int v = 0; v < kPanelVectors; ++v) dots[part][v] = start;
  }
  constexpr int64_t kInputs = FourBits ? 8 : 4;  // of a word
  const __m512i mask = _mm512_set1_epi32(FourBits ? 0x0f0f0f0f : static_cast<int>(0x80808080U));
  for (int64_t i = 0; i < inputs; i += kInputs, values += kPanel * 4) {
    __m512i first[kParts], second[kParts];
    for (int part = 0; part < kParts; ++part) {
      first[part] = four_inputs(x.parts[part] + i);
      if constexpr (FourBits) second[part] = four_inputs(x.parts[part] + i + 4);
    }
#pragma GCC unroll 4
    for (int v = 0; v < kPanelVectors; ++v) {
      __builtin_prefetch(values + v * 64 + kAhead);
      const __m512i words = _mm512_loadu_si512(values + v * 64);
      const __m512i low = FourBits ? _mm512_and_si512(words, mask) : _mm512_xor_si512(words, mask);
      for (int part = 0; part < kParts; ++part) dots[part][v] = _mm512_dpbusd_epi32(dots[part][v], low, first[part]);
      if constexpr (FourBits) {
        const __m512i high = _mm512_and_si512(_mm512_srli_epi32(words, 4), mask);
        for (int part = 0; part < kParts; ++part) dots[part][v] = _mm512_dpbusd_epi32(dots[part][v], high, second[part]);
      }
    }
  }
}

// All rows by one panel into totals [rows][64]. A group's values are read once from memory, by each row from the first
// cache.
template <bool FourBits>
void panel_totals(const QuantizedPanel& panel, const Group* x, int64_t rows, int64_t groups, int64_t padded_in,
                  float* totals) {
  std::fill(totals, totals + rows * kPanel, 0.0F);
  for (int64_t group = 0; group < groups; ++group) {
    const int64_t first = group * kQuantizedGroup;
    const int64_t inputs = std::min(kQuantizedGroup, padded_in - first);
    for (int64_t line = 0; line < 2; ++line) {
      __builtin_prefetch(panel.scales + (group + 4) * kPanel + line * 32);
      if constexpr (FourBits) __builtin_prefetch(panel.minimums + (group + 4) * kPanel + line * 32);
    }
    for (int64_t row = 0; row < rows; ++row) {
      const Group& part = x[row * groups + group];
      __m512i dots[kParts][kPanelVectors];
      group_dots<FourBits>(panel.values + first * kPanel / (FourBits ? 2 : 1), inputs, part, dots);
#pragma GCC unroll 4
      for (int v = 0; v < kPanelVectors; ++v) {
        const auto number = [&](int digit) { return __builtin_convertvector(std::bit_cast<vint>(dots[digit][v]), vfloat); };
        const vfloat dot = number(2) * 65536.0F + number(1) * 256.0F + number(0);
        const int64_t at = group * kPanel + v * kLanes;
        float* total = totals + row * kPanel + v * kLanes;
        vfloat sum = load(total) + dot * part.step * load(panel.scales + at);
        if constexpr (FourBits) sum += load(panel.minimums + at) * part.sum;
        store(total, sum);
      }
    }
  }
}

}  // namespace

bool integer_product(const LinearSizes& s, const float* x, const QuantizedWeight& weight, Dtype dtype, const std::byte* bias,
                     std::byte* y, Stream& stream) {
  const int64_t inputs = padded_in(weight);
  const int64_t groups = weight.scales.shape[1];
  Group* parts = stream.scratch_of<Group>(s.rows * groups);
  for (int64_t i = 0; i < s.rows * groups; ++i) {
    const int64_t first = i % groups * kQuantizedGroup;
    if (!take_apart(x + i / groups * inputs + first, std::min(kQuantizedGroup, inputs - first), parts[i])) return false;
  }
  float* all_totals = stream.scratch_of<float>(s.rows * kPanel * thread_count());
  by_dtype(dtype, [&]<typename T>(Type<T>) {
    const auto* shift = reinterpret_cast<const T*>(bias);
    auto* result = reinterpret_cast<T*>(y);
    parallel_ranges((s.out + kPanel - 1) / kPanel, kWeightGrain / (inputs * kPanel) + 1, [&](int64_t begin, int64_t end) {
      float* totals = all_totals + thread_index() * s.rows * kPanel;
      for (int64_t panel = begin; panel < end; ++panel) {
        if (weight.minimums)
          panel_totals<true>(panel_of(weight, panel), parts, s.rows, groups, inputs, totals);
        else
          panel_totals<false>(panel_of(weight, panel), parts, s.rows, groups, inputs, totals);
        const int64_t output = panel * kPanel;
        for (int64_t row = 0; row < s.rows; ++row) {
          by_lanes(0, std::min(kPanel, s.out - output), [&](int64_t o, auto... lanes) {
            vfloat value = load(totals + row * kPanel + o, lanes...);
            if (shift) value += load(shift + output + o, lanes...);
            store(result + row * s.out + output + o, value, lanes...);
          });
        }
      }
    });
  });
  return true;
}

#else

bool integer_product(const LinearSizes&, const float*, const QuantizedWeight&, Dtype, const std::byte*, std::byte*,
                     Stream&) {
  return false;
}

#endif

}  // namespace mglmm::cpu
