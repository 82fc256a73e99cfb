#include "kernels/lora_linear.h"

#include <algorithm>
#include <cstring>

#include "cpu/parallel.h"
#include "cpu/product.h"
#include "cpu/simd.h"

namespace mglmm::cpu {
namespace {

template <typename Op>
LinearSizes sizes_of(const Op& op) {
  return {op.x.shape.count(0, op.x.shape.rank - 1), op.weight.shape[1], op.weight.shape[0]};
}

// scaling a b, summed and scaled in f32, rounded once to the dtype of the product.
std::byte* scaled_product(Product p, const std::byte* a, const std::byte* b, float scaling, std::byte* y, Stream& stream) {
  const int64_t count = p.rows * p.columns;
  p.result = Dtype::f32;
  float* sums = stream.scratch_of<float>(count);
  product(p, a, b, nullptr, reinterpret_cast<std::byte*>(sums), stream);
  if (y == nullptr) y = stream.scratch(count * size_of(p.dtype));
  by_dtype(p.dtype, [&]<typename T>(Type<T>) {
    T* to = reinterpret_cast<T*>(y);
    parallel_ranges(count, kElementGrain, [=](int64_t begin, int64_t end) {
      by_lanes(begin, end, [=](int64_t i, auto... lanes) { store(to + i, load(sums + i, lanes...) * scaling, lanes...); });
    });
  });
  return y;
}

// scaling x loraA^T  [rows, rank]
std::byte* lowered(const LinearSizes& s, const std::byte* x, const ConstTensor& lora_a, float scaling, Stream& stream) {
  const Product p{.rows = s.rows, .columns = lora_a.shape[0], .inner = s.in, .dtype = lora_a.dtype, .b_transposed = true};
  return scaled_product(p, x, lora_a.raw(), scaling, nullptr, stream);
}

// y += (scaling x loraA^T) loraB^T
void add_correction(const LinearSizes& s, const std::byte* x, const ConstTensor& lora_a, const ConstTensor& lora_b,
                    float scaling, std::byte* y, Stream& stream) {
  const std::byte* low = lowered(s, x, lora_a, scaling, stream);
  product({.rows = s.rows,
           .columns = s.out,
           .inner = lora_a.shape[0],
           .dtype = lora_a.dtype,
           .result = lora_a.dtype,
           .b_transposed = true,
           .accumulate = true},
          low, lora_b.raw(), nullptr, y, stream);
}

}  // namespace

void run(const LoraLinear& op, Stream& stream) {
  const LinearSizes s = sizes_of(op);
  const Dtype dtype = op.x.dtype;
  linear_product(s, dtype, op.x.raw(), op.weight, op.bias ? op.bias->raw() : nullptr, nullptr, op.y.raw(), stream);
  const ConstTensor& x = op.xDropped ? *op.xDropped : op.x;
  add_correction(s, x.raw(), op.loraA, op.loraB, op.scaling, op.y.raw(), stream);
}

void run(const LoraLinearBackward& op, Stream& stream) {
  const LinearSizes s = sizes_of(op);
  const Dtype dtype = op.x.dtype;
  const int64_t rank = op.loraA.shape[0];
  const ConstTensor& x = op.xDropped ? *op.xDropped : op.x;
  const bool through_x = op.dx && !op.xDropped;
  if (op.dx) linear_input_gradient(s, dtype, op.dy.raw(), op.weight, op.dx.raw(), stream);
  if (op.dweight) linear_weight_gradient(s, dtype, op.dy.raw(), op.x.raw(), op.dweight.raw(), stream);
  if (op.dbias) linear_bias_gradient(s, dtype, op.dy.raw(), op.dbias.raw());
  if (op.dloraA || op.dxDropped || through_x) {
    const Product to_rank{.rows = s.rows, .columns = rank, .inner = s.out, .dtype = dtype};
    const std::byte* dlow = scaled_product(to_rank, op.dy.raw(), op.loraB.raw(), op.scaling, nullptr, stream);
    if (op.dloraA) linear_weight_gradient({s.rows, s.in, rank}, dtype, dlow, x.raw(), op.dloraA.raw(), stream);
    Product to_in{.rows = s.rows, .columns = s.in, .inner = rank, .dtype = dtype, .result = dtype};
    if (op.dxDropped) product(to_in, dlow, op.loraA.raw(), nullptr, op.dxDropped.raw(), stream);
    to_in.accumulate = true;
    if (through_x) product(to_in, dlow, op.loraA.raw(), nullptr, op.dx.raw(), stream);
  }
  if (op.dloraB) {
    const std::byte* low = lowered(s, x.raw(), op.loraA, op.scaling, stream);
    linear_weight_gradient({s.rows, rank, s.out}, dtype, op.dy.raw(), low, op.dloraB.raw(), stream);
  }
}

// Neighbours in the batch that have one adapter share its products.
void run(const AddLoraByRow& op, Stream& stream) {
  if (op.y.count() == 0) return;
  std::memcpy(op.y.raw(), op.layer.raw(), static_cast<size_t>(op.y.bytes()));
  const auto batch = static_cast<int64_t>(op.adapters.size());
  const int64_t x_bytes = op.x.bytes() / batch, y_bytes = op.y.bytes() / batch;
  for (int64_t first = 0, end = 0; first < batch; first = end) {
    const int64_t adapter = op.adapters[first];
    while (end < batch && op.adapters[end] == adapter) ++end;
    if (adapter < 0) continue;
    const ScratchScope scope(stream);
    const int64_t rows = (end - first) * op.x.shape.count(1, op.x.shape.rank - 1);
    add_correction({rows, op.x.shape[-1], op.y.shape[-1]}, op.x.raw() + first * x_bytes, op.loraA[adapter],
                   op.loraB[adapter], static_cast<float>(op.scalings[adapter]), op.y.raw() + first * y_bytes, stream);
  }
}

void run(const MergeLora& op, Stream& stream) {
  const int64_t out = op.weight.shape[0], in = op.weight.shape[1];
  const int64_t rank = op.loraA.shape[0];
  const int64_t width = size_of(op.weight.dtype);
  constexpr int64_t kRows = 256;  // of the correction at a time, in f32
  float* correction = stream.scratch_of<float>(std::min(kRows, out) * in);
  for (int64_t first = 0; first < out; first += kRows) {
    const int64_t rows = std::min(kRows, out - first);
    product({.rows = rows, .columns = in, .inner = rank, .dtype = op.weight.dtype, .result = Dtype::f32},
            op.loraB.raw() + first * rank * width, op.loraA.raw(), nullptr, reinterpret_cast<std::byte*>(correction),
            stream);
    by_dtype(op.weight.dtype, [&]<typename T>(Type<T>) {
      const T* weight = op.weight.data<T>() + first * in;
      T* merged = op.merged.data<T>() + first * in;
      parallel_ranges(rows * in, kElementGrain, [=, scaling = op.scaling](int64_t begin, int64_t end) {
        by_lanes(begin, end, [=](int64_t i, auto... lanes) {
          store(merged + i, load(weight + i, lanes...) + load(correction + i, lanes...) * scaling, lanes...);
        });
      });
    });
  }
}

}  // namespace mglmm::cpu
