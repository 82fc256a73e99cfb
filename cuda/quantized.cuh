// Reads weights in 8 and 4 bits, in the order of kernels/quantize.h.
#pragma once
#include <string>

#include "cuda/number.cuh"
#include "kernels/quantize.h"

namespace mglmm::cuda {

// A weight [out, in] as kernels see it. `minimums` is null for int8.
struct Quantized {
  const uint32_t* values;  // [panels, words, 64]
  const bf16* scales;      // [panels, groups, 64]
  const bf16* minimums;
  int64_t out, in, words, groups;

  explicit Quantized(const QuantizedWeight& weight)
      : values(weight.values.data<uint32_t>()),
        scales(weight.scales.data<bf16>()),
        minimums(weight.minimums ? weight.minimums->data<bf16>() : nullptr),
        out(weight.out),
        in(weight.in),
        words(weight.values.shape[1]),
        groups(weight.scales.shape[1]) {
    if (!aligned(values, scales, minimums)) {
      throw Error(kArgumentError,
                  "values, scales, minimums: a view that does not begin at 16 bytes of memory, expected one "
                  "that does on a GPU; copy it before");
    }
  }
  int64_t panels() const { return (out + kPanel - 1) / kPanel; }
};

// Of an int8 word, input i of 4.
__device__ __forceinline__ float int8_value(uint32_t word, int i) {
  return static_cast<float>(static_cast<int8_t>(word >> 8 * i));
}
// Of an int4 word, input i of 8.
__device__ __forceinline__ float int4_value(uint32_t word, int i) {
  return static_cast<float>(word >> (i % 4 * 8 + i / 4 * 4) & 15U);
}

namespace {

constexpr int kRowsThreads = 256;

// A block a group of a panel. A warp 8 outputs by 4 words, so that what it reads and what it writes fill sectors of 32
// bytes.
template <bool four_bits, typename T>
__global__ void __launch_bounds__(kRowsThreads) dequantize_kernel(Quantized w, T* rows) {
  constexpr int kInputs = four_bits ? 8 : 4;  // of a word
  constexpr int kWords = static_cast<int>(kQuantizedGroup) / kInputs;
  const int64_t panel = blockIdx.x / w.groups;
  const int64_t group = blockIdx.x % w.groups;
  const uint32_t* values = w.values + panel * w.words * kPanel;
  for (int tile = static_cast<int>(threadIdx.x) / 32; tile < kPanel / 8 * (kWords / 4); tile += kRowsThreads / 32) {
    const int64_t place = tile % (kPanel / 8) * 8 + threadIdx.x % 8;  // of the output in its panel
    const int64_t word = group * kWords + tile / (kPanel / 8) * 4 + threadIdx.x % 32 / 8;
    const int64_t output = panel * kPanel + place;
    if (output >= w.out || word >= w.words) continue;
    const int64_t at = blockIdx.x * kPanel + place;
    const float scale = to_float(w.scales[at]);
    const float minimum = four_bits ? to_float(w.minimums[at]) : 0.0F;
    const uint32_t bits = values[word * kPanel + place];
    T* row = rows + output * w.in;
    for (int half = 0; half < kInputs; half += 4) {
      Packet<T, 4> four;
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const int input = half + i;
        put(four.values[i], four_bits ? int4_value(bits, input) * scale + minimum : int8_value(bits, input) * scale);
      }
      const int64_t first = word * kInputs + half;
      if (w.in % 4 == 0 && first < w.in) {
        store_packet(row + first, four);
      } else {
        for (int i = 0; i < 4 && first + i < w.in; ++i) row[first + i] = four.values[i];
      }
    }
  }
}

}  // namespace

// The whole weight as rows [out, in], at a place for packets of 16 bytes.
template <typename T>
void dequantize_rows(CudaStream& stream, const Quantized& weight, T* rows) {
  const Grid grid{.blocks = weight.panels() * weight.groups, .threads = kRowsThreads};
  if (weight.minimums == nullptr)
    launch(stream, dequantize_kernel<false, T>, grid, weight, rows);
  else
    launch(stream, dequantize_kernel<true, T>, grid, weight, rows);
}

}  // namespace mglmm::cuda
