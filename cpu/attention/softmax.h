// The softmax of a tile of logits, rows of keys and lanes of queries, with a running maximum (Milakov and Gimelshein 2018,
// arXiv 1805.02867). Logits are in units of ln 2, so that 2^x serves.
#pragma once
#include <cstdint>
#include <limits>

#include "cpu/simd.h"

namespace mglmm::cpu {

inline constexpr float kLog2E = 1.44269504088896341F;
inline constexpr float kLn2 = 0.693147180559945309F;
inline constexpr float kInfinity = std::numeric_limits<float>::infinity();

#if defined(__AVX512F__)
inline constexpr __mmask16 kAllLanes =
    0xffff;  // GCC 12 takes the undefined source of an unmasked intrinsic for an error of ours
#endif

inline vfloat larger(vfloat a, vfloat b) {  // b when either is NaN
#if defined(__AVX512F__)
  return std::bit_cast<vfloat>(_mm512_maskz_max_ps(kAllLanes, std::bit_cast<__m512>(a), std::bit_cast<__m512>(b)));
#else
  return a > b ? a : b;
#endif
}

// 2^x for x up to 126, exactly 1 at 0 and exactly 0 below -126, without the subnormal results that processors are slow at:
// n + r with |r| <= 1/2, a polynomial in r fitted for the least relative error (9e-8), times 2^n.
inline vfloat exp2(vfloat x) {
#if defined(__AVX512F__)
  const auto wide = std::bit_cast<__m512>(x);
  const __mmask16 kept = _mm512_cmp_ps_mask(wide, _mm512_set1_ps(-126.0F), _CMP_NLT_UQ);  // NaN too
  const __m512 n = _mm512_maskz_roundscale_ps(kAllLanes, wide, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  const vfloat r = std::bit_cast<vfloat>(_mm512_sub_ps(wide, n));
#else
  constexpr float kRound = 12582912.0F;  // 1.5 * 2^23: adding it rounds to an integer
  const vfloat low = x < -126.0F ? splat(-126.0F) : x;
  const vfloat bounded = low > 126.0F ? splat(126.0F) : low;
  const vfloat n = (bounded + kRound) - kRound;
  const vfloat r = bounded - n;
#endif
  vfloat p = splat(1.32647269e-3F);
  p = p * r + 9.67151266e-3F;
  p = p * r + 5.55073374e-2F;
  p = p * r + 2.40222421e-1F;
  p = p * r + 6.93146978e-1F;
  p = p * r + 1.0F;
#if defined(__AVX512F__)
  return std::bit_cast<vfloat>(_mm512_maskz_scalef_ps(kept, std::bit_cast<__m512>(p), n));
#else
  const vfloat power = std::bit_cast<vfloat>((__builtin_convertvector(n, vint) + 127) << 23);
  return x < -126.0F ? vfloat{} : p * power;
#endif
}

// How logits come from the products q.k of a tile: multiplied by `factor`, plus bias, minus hidden keys.
template <int kVectors>
struct TileLogits {
  float factor = 1;               // softmaxScale / ln 2
  const float* bias_h = nullptr;  // [height][kVectors * kLanes], in units of ln 2; null: no bias
  const float* bias_w = nullptr;  // [width][kVectors * kLanes]
  int64_t width = 1;
  vint limits[kVectors];  // the last key that each query sees
  int64_t least_limit = 0;
  const uint8_t* key_mask = nullptr;  // 0 hides a key
};

template <int kVectors>
struct RunningSoftmax {
  vfloat maximum[kVectors];  // of the logits, divided by `factor` when there is no bias
  vfloat total[kVectors];
  vfloat correction[kVectors];  // what the sums over earlier tiles are to be multiplied by
  bool corrected = false;       // false: all of them are 1

  RunningSoftmax() {
    for (int n = 0; n < kVectors; ++n) maximum[n] = splat(-kInfinity), total[n] = vfloat{};
  }
};

// Hides keys and adds the bias in `s` [rows][kVectors * kLanes], whose first row is key `first`; gives the largest.
template <int kVectors, bool kBias, bool kMask>
void finish_logits(float* s, int64_t first, int64_t rows, const TileLogits<kVectors>& logits, vfloat* maximum) {
  constexpr int64_t kStride = kVectors * kLanes;
  vfloat most[kVectors], row_bias[kVectors] = {};
  for (int n = 0; n < kVectors; ++n) most[n] = maximum[n];
  int64_t row = 0, column = 0;
  if constexpr (kBias) row = first / logits.width, column = first % logits.width;
  const vfloat factor = splat(logits.factor);
  bool fresh = true;
  for (int64_t j = 0; j < rows; ++j, s += kStride) {
    if constexpr (kBias) {
      if (fresh) {
        for (int n = 0; n < kVectors; ++n) row_bias[n] = load(logits.bias_h + row * kStride + n * kLanes);
        fresh = false;
      }
    }
    for (int n = 0; n < kVectors; ++n) {
      vfloat value = load(s + n * kLanes);
      if constexpr (kBias) value = value * factor + (row_bias[n] + load(logits.bias_w + column * kStride + n * kLanes));
      if constexpr (kMask) {
        const bool hidden = logits.key_mask && logits.key_mask[first + j] == 0;
        const vint seen =
            logits.limits[n] >= (hidden ? std::numeric_limits<int32_t>::max() : static_cast<int32_t>(first + j));
        value = seen ? value : splat(-kInfinity);
      }
      most[n] = larger(most[n], value);
      if constexpr (kBias || kMask) store(s + n * kLanes, value);
    }
    if constexpr (kBias) {
      if (++column == logits.width) column = 0, ++row, fresh = true;
    }
  }
  for (int n = 0; n < kVectors; ++n) maximum[n] = most[n];
}

// Takes a tile in: its logits are made, the running maximum and the correction of earlier sums follow.
// Gives by `factor` and `shift` what turns a stored logit into its exponent: s * factor - shift.
template <int kVectors>
void take_tile(float* s, int64_t first, int64_t rows, const TileLogits<kVectors>& logits, RunningSoftmax<kVectors>& softmax,
               float& factor, vfloat* shift) {
  const bool masks = first + rows - 1 > logits.least_limit || logits.key_mask != nullptr;
  const bool bias = logits.bias_h != nullptr;
  vfloat maximum[kVectors];
  for (int n = 0; n < kVectors; ++n) maximum[n] = softmax.maximum[n];
  if (bias && masks)
    finish_logits<kVectors, true, true>(s, first, rows, logits, maximum);
  else if (bias)
    finish_logits<kVectors, true, false>(s, first, rows, logits, maximum);
  else if (masks)
    finish_logits<kVectors, false, true>(s, first, rows, logits, maximum);
  else
    finish_logits<kVectors, false, false>(s, first, rows, logits, maximum);
  factor = bias ? 1.0F : logits.factor;
  softmax.corrected = false;
  for (int n = 0; n < kVectors; ++n) {
    const vfloat before = softmax.maximum[n];
    const vint none = maximum[n] == -kInfinity;
    shift[n] = none ? vfloat{} : maximum[n] * factor;
    const vint same = before == maximum[n];  // then exactly 1, which a rounded product would miss
    softmax.correction[n] = same ? splat(1.0F) : exp2(before * factor - shift[n]);
    softmax.total[n] *= softmax.correction[n];
    softmax.maximum[n] = maximum[n];
    for (int lane = 0; lane < kLanes; ++lane) softmax.corrected |= same[lane] == 0;
  }
}

// s = 2^(s * factor - shift), and its sum joins the total.
template <int kVectors>
void exponentiate(float* s, int64_t rows, float factor, const vfloat* shift, RunningSoftmax<kVectors>& softmax) {
  vfloat total[kVectors], minus[kVectors];
  for (int n = 0; n < kVectors; ++n) total[n] = softmax.total[n], minus[n] = shift[n];
  const vfloat by = splat(factor);
  for (int64_t j = 0; j < rows; ++j, s += kVectors * kLanes) {
    for (int n = 0; n < kVectors; ++n) {
      const vfloat p = exp2(load(s + n * kLanes) * by - minus[n]);
      total[n] += p;
      store(s + n * kLanes, p);
    }
  }
  for (int n = 0; n < kVectors; ++n) softmax.total[n] = total[n];
}

}  // namespace mglmm::cpu
