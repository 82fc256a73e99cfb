// Reads weights in 8 and 4 bits, in the order of kernels/quantize.h.
#pragma once
#include <cstring>

#include "cpu/simd.h"
#include "kernels/quantize.h"

namespace mglmm::cpu {

inline constexpr int kPanelVectors = static_cast<int>(kPanel) / kLanes;

// What a panel of 64 outputs is made of. `minimums` is null for int8.
struct QuantizedPanel {
  const uint8_t* values;
  const bf16* scales;    // [groups, 64]
  const bf16* minimums;  // [groups, 64]
};

inline int64_t padded_in(const QuantizedWeight& weight) { return packed_in(weight.in, Dtype::bf16); }

inline QuantizedPanel panel_of(const QuantizedWeight& weight, int64_t panel) {
  const int64_t groups = weight.scales.shape[1];
  const int64_t value_bytes = padded_in(weight) * kPanel / (weight.minimums ? 2 : 1);
  return {weight.values.data<uint8_t>() + panel * value_bytes, weight.scales.data<bf16>() + panel * groups * kPanel,
          weight.minimums ? weight.minimums->data<bf16>() + panel * groups * kPanel : nullptr};
}

inline vuint words_at(const uint8_t* values) {
  vuint words;
  std::memcpy(&words, values, sizeof words);
  return words;
}
// int8 values of the `input`th of 4 inputs and kLanes outputs.
inline vfloat int8_values(vuint words, int input) {
  return __builtin_convertvector(std::bit_cast<vint>(words << static_cast<uint32_t>(24 - input * 8)) >> 24, vfloat);
}
// int4 values of the `input`th of 8 inputs and kLanes outputs.
inline vfloat int4_values(vuint words, int input) {
  const vuint shifted = words >> static_cast<uint32_t>(input % 4 * 8 + input / 4 * 4);
#if defined(__AVX512F__)
  const vfloat table = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  return std::bit_cast<vfloat>(
      _mm512_permutexvar_ps(std::bit_cast<__m512i>(shifted), std::bit_cast<__m512>(table)));  // looks at the low 4 bits
#else
  return __builtin_convertvector(std::bit_cast<vint>(shifted & 15U), vfloat);
#endif
}

inline constexpr int64_t kAhead = 2048;  // bytes: the arithmetic leaves the processor's own prefetch too short a view

// Unrolled by hand, or sums that `body` keeps by vector leave their registers.
// Calls `body(input, vector, weight)` for the inputs [first, last) of a panel, both multiples of 8 but for the panel's end,
// `weight` being kLanes outputs from vector * kLanes on, as numbers.
template <typename Body>
void by_weights(const QuantizedPanel& panel, int64_t first, int64_t last, Body&& body) {
  if (panel.minimums == nullptr) {
    for (int64_t i = first; i < last; i += 4) {
      for (int line = 0; line < 4; ++line) __builtin_prefetch(panel.values + i * kPanel + line * 64 + kAhead);
#pragma GCC unroll 4
      for (int v = 0; v < kPanelVectors; ++v) {
        const vuint words = words_at(panel.values + i * kPanel + v * kLanes * 4);
#pragma GCC unroll 4
        for (int input = 0; input < 4; ++input) body(i + input, v, int8_values(words, input));
      }
    }
    return;
  }
  for (int64_t i = first; i < last; i += 8) {
    for (int line = 0; line < 4; ++line) __builtin_prefetch(panel.values + i / 8 * kPanel * 4 + line * 64 + kAhead);
#pragma GCC unroll 4
    for (int v = 0; v < kPanelVectors; ++v) {
      const vuint words = words_at(panel.values + (i / 8 * kPanel + v * kLanes) * 4);
#pragma GCC unroll 8
      for (int input = 0; input < 8; ++input) body(i + input, v, int4_values(words, input));
    }
  }
}

// The weights of inputs [first, last), all of one group, as block[input - first][64].
inline void dequantize_block(const QuantizedPanel& panel, int64_t first, int64_t last, float* block) {
  const int64_t group = first / kQuantizedGroup * kPanel;
  by_weights(panel, first, last, [=](int64_t i, int v, vfloat value) {
    const int64_t output = v * kLanes;
    vfloat weight = value * load(panel.scales + group + output);
    if (panel.minimums) weight += load(panel.minimums + group + output);
    store(block + (i - first) * kPanel + output, weight);
  });
}

// The whole weight as rows [out, in] of a floating dtype.
void dequantize_rows(const QuantizedWeight& weight, Dtype dtype, std::byte* rows);

}  // namespace mglmm::cpu
