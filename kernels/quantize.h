// Weights [out, in] in 8 or 4 bits, in groups of 128 along `in` (the last may be shorter), each group with a scale of its
// own: int8: weight = scale * value, value -127 to 127; int4: weight = scale * value + minimum, value 0 to 15, the minimum
// because 16 steps are too few to waste one. Scales and minimums are bf16 and the values are rounded with them as they are
// stored, so no weight is off by more than half a step, plus the rounding of the minimum. A group that holds NaN or infinity
// becomes NaN. Order: panels of 64 outputs as in kernels/panels.h, `in` padded to 32, in words of 32 bits as the dot
// instructions of integers take them. int8: [out / 64][in / 4][64] words of 4 inputs, a byte each. int4: [out / 64]
// [in / 8][64] words of 8 inputs, input i of them at bit i % 4 * 8 + i / 4 * 4.
#pragma once
#include <array>

#include "kernels/fields.h"
#include "kernels/tensor.h"

namespace mglmm {

inline constexpr int64_t kQuantizedGroup = 128;

enum class Quantization : uint8_t { int8, int4 };
constexpr std::array<const char*, 2> enum_names(Quantization) { return {"int8", "int4"}; }

struct Quantize {
  ConstTensor weight;  // [out, in]  f32 | bf16 | f16
  Quantization kind = Quantization::int8;
  Tensor values;    // [out / 64, in / 4 (int4: in / 8), 256]  u8, sizes rounded up
  Tensor scales;    // [out / 64, in / 128, 64]  bf16
  Tensor minimums;  // as scales; int4 only
  MGLMM_OP(quantize, weight, kind, values, scales, minimums)
};

// What Quantize made, as fields of the ops that read it; `minimums` says that it is int4.
struct QuantizedWeight {
  ConstTensor values;
  ConstTensor scales;
  MaybeTensor minimums;
  int64_t out = 0;
  int64_t in = 0;
};

struct Dequantize {
  ConstTensor values;
  ConstTensor scales;
  MaybeTensor minimums;
  int64_t out = 0;
  int64_t in = 0;
  Tensor weight;  // [out, in]  f32
  MGLMM_OP(dequantize, values, scales, minimums, out, in, weight)
};

class Check;
// Refuses what is no weight [out, in] that Quantize made.
void check_quantized(const Check& check, const QuantizedWeight& weight);

void check(Quantize& op);
void check(Dequantize& op);

}  // namespace mglmm
