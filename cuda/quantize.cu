// A block a group of a panel, a warp an output of it at a time, four inputs a lane: an int8 word, or half of an int4 one.
#include "kernels/quantize.h"

#include "cuda/quantized.cuh"
#include "cuda/reduce.cuh"

namespace mglmm::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kLaneInputs = 4;

__device__ __forceinline__ bool is_finite(float value) { return fabsf(value) < __builtin_huge_valf(); }

// The least bf16 at or above a number that is not negative.
__device__ __forceinline__ bf16 rounded_up(float value) {
  bf16 rounded;
  put(rounded, value);
  if (to_float(rounded) < value) ++rounded.bits;
  return rounded;
}

struct Step {
  bf16 scale, minimum;
};

// Of a group, in every lane. `least` and `largest` of its weights; NaN is the largest where one is not finite.
template <bool four_bits>
__device__ __forceinline__ Step step_of(float least, float largest) {
  Step step;
  put(step.minimum, four_bits ? least : 0.0F);
  const float shift = to_float(step.minimum);
  // In halves, as the largest less the least may be no f32.
  const float reach = four_bits ? (largest / 2 - shift / 2) / 15 * 2 : fmaxf(fabsf(least), fabsf(largest)) / 127;
  if (largest != largest)
    put(step.scale, largest);
  else
    step.scale = rounded_up(fmaxf(reach, 0.0F));
  return step;
}

template <bool four_bits, typename T>
__global__ void __launch_bounds__(kThreads)
    quantize_kernel(int64_t out, int64_t in, int64_t groups, int64_t words, const T* weight, uint32_t* values, bf16* scales,
                    bf16* minimums) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int64_t panel = blockIdx.x / groups;
  const int64_t first = blockIdx.x % groups * kQuantizedGroup + lane * kLaneInputs;
  for (int64_t place = threadIdx.x / 32; place < kPanel; place += kThreads / 32) {
    const int64_t output = panel * kPanel + place;
    float weights[kLaneInputs];
    float least = __builtin_huge_valf(), largest = -__builtin_huge_valf();
    bool finite = true;
    for (int i = 0; i < kLaneInputs; ++i) {
      const bool present = output < out && first + i < in;
      weights[i] = present ? to_float(weight[output * in + first + i]) : 0.0F;
      if (!present) continue;
      finite = finite && is_finite(weights[i]);
      least = fminf(least, weights[i]);
      largest = fmaxf(largest, weights[i]);
    }
    for (int bits = 16; bits > 0; bits /= 2) {
      least = fminf(least, __shfl_xor_sync(kAllLanes, least, bits));
      largest = fmaxf(largest, __shfl_xor_sync(kAllLanes, largest, bits));
    }
    if (__all_sync(kAllLanes, finite ? 1 : 0) == 0) {
      least = 0;
      largest = __builtin_nanf("");
    }
    if (output >= out) least = largest = 0;
    const Step step = step_of<four_bits>(least, largest);
    const float scale = to_float(step.scale);
    const float shift = to_float(step.minimum);
    uint32_t word = 0;
    for (int i = 0; i < kLaneInputs; ++i) {
      const float steps = scale > 0 ? weights[i] / scale - shift / scale : 0.0F;
      const float whole = rintf(is_finite(steps) ? steps : 0.0F);
      const float kept = four_bits ? fminf(fmaxf(whole, 0.0F), 15.0F) : fminf(fmaxf(whole, -127.0F), 127.0F);
      const bool present = output < out && first + i < in;
      if (present) word |= static_cast<uint32_t>(static_cast<uint8_t>(static_cast<int>(kept))) << 8 * i;
    }
    // Two lanes' inputs are a word of int4, the second one's in the upper halves of its bytes.
    if constexpr (four_bits) word |= __shfl_xor_sync(kAllLanes, word, 1) << 4;
    const int64_t at = four_bits ? first / 8 : first / 4;
    if (at < words && (!four_bits || lane % 2 == 0)) values[(panel * words + at) * kPanel + place] = word;
    if (lane != 0) continue;
    scales[blockIdx.x * kPanel + place] = step.scale;
    if (four_bits) minimums[blockIdx.x * kPanel + place] = step.minimum;
  }
}

}  // namespace

void run(const Quantize& op, CudaStream& stream) {
  const auto with = [&]<bool four_bits>(std::bool_constant<four_bits>) {
    by_dtype(op.weight.dtype, [&]<typename T>(Type<T>) {
      const int64_t groups = op.scales.shape[1];
      launch(stream, quantize_kernel<four_bits, T>, {.blocks = op.scales.shape[0] * groups, .threads = kThreads},
             op.weight.shape[0], op.weight.shape[1], groups, op.values.shape[1], op.weight.data<T>(),
             op.values.data<uint32_t>(), op.scales.data<bf16>(), four_bits ? op.minimums.data<bf16>() : nullptr);
    });
  };
  if (op.kind == Quantization::int4)
    with(std::true_type{});
  else
    with(std::false_type{});
}

void run(const Dequantize& op, CudaStream& stream) {
  dequantize_rows(stream, Quantized({op.values, op.scales, op.minimums, op.out, op.in}), op.weight.data<float>());
}

}  // namespace mglmm::cuda
