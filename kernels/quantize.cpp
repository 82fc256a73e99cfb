#include "kernels/quantize.h"

#include "kernels/check.h"

namespace mglmm {
namespace {

constexpr int64_t blocks(int64_t size, int64_t block) { return (size + block - 1) / block; }

Shape values_shape(int64_t out, int64_t in, Quantization kind) {
  const int64_t word = kind == Quantization::int8 ? 4 : 8;  // inputs of one
  return {blocks(out, kPanel), packed_in(in, Dtype::bf16) / word, kPanel * 4};
}
Shape scales_shape(int64_t out, int64_t in) { return {blocks(out, kPanel), blocks(in, kQuantizedGroup), kPanel}; }

}  // namespace

void check_quantized(const Check& check, const QuantizedWeight& w) {
  check.require(w.out >= 0 && w.out <= Shape::kMaxCount, "out", std::to_string(w.out), "0 to 2^48");
  check.require(w.in >= 0 && w.in <= Shape::kMaxCount, "in", std::to_string(w.in), "0 to 2^48");
  const auto kind = w.minimums ? Quantization::int4 : Quantization::int8;
  const char* why = w.minimums ? "the order of an int4 weight [out, in]" : "the order of an int8 weight [out, in]";
  check.dtype("values", w.values, Dtype::u8);
  check.shape("values", w.values, values_shape(w.out, w.in, kind), why);
  check.dtype("scales", w.scales, Dtype::bf16);
  check.shape("scales", w.scales, scales_shape(w.out, w.in), "one for each output and group of 128 inputs");
  if (w.minimums) check.same("minimums", *w.minimums, "scales", w.scales);
}

void check(Quantize& op) {
  const Check check(op);
  check.floating("weight", op.weight);
  check.rank("weight", op.weight, 2, "[out, in]");
  const auto [out, in] = std::pair(op.weight.shape[0], op.weight.shape[1]);
  check.output("values", op.values, values_shape(out, in, op.kind), Dtype::u8);
  check.output("scales", op.scales, scales_shape(out, in), Dtype::bf16);
  if (op.kind == Quantization::int8 && op.minimums.wanted) op.minimums.wanted = false;
  check.require(op.kind == Quantization::int4 || !op.minimums, "minimums", "given", "none for int8");
  check.output("minimums", op.minimums, scales_shape(out, in), Dtype::bf16);
}

void check(Dequantize& op) {
  const Check check(op);
  check_quantized(check, {op.values, op.scales, op.minimums, op.out, op.in});
  check.output("weight", op.weight, {op.out, op.in}, Dtype::f32);
}

}  // namespace mglmm
