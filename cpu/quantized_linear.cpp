#include "kernels/quantized_linear.h"

#include <algorithm>

#include "cpu/integer_panel_product.h"
#include "cpu/integer_product.h"
#include "cpu/parallel.h"
#include "cpu/product.h"
#include "cpu/quantized.h"
#include "cpu/row_product.h"

namespace mglmm::cpu {
namespace {

// Rows rows of x by one panel: the sums of a group first, then times its scale. `x_sums` [rows, groups] are x's own sums,
// which a minimum is multiplied by.
template <typename T, int Rows>
void panel_rows(const QuantizedPanel& panel, const float* x, int64_t padded_in, const float* x_sums, int64_t groups,
                const T* bias, int64_t outputs, T* y, int64_t out) {
  vfloat totals[Rows][kPanelVectors] = {};
  for (int64_t group = 0; group < groups; ++group) {
    vfloat sums[Rows][kPanelVectors] = {};
    const int64_t first = group * kQuantizedGroup;
    by_weights(panel, first, std::min(first + kQuantizedGroup, padded_in), [&](int64_t i, int v, vfloat value) {
      for (int row = 0; row < Rows; ++row) sums[row][v] += value * x[row * padded_in + i];
    });
    for (int v = 0; v < kPanelVectors; ++v) {
      const vfloat scale = load(panel.scales + group * kPanel + v * kLanes);
      for (int row = 0; row < Rows; ++row) totals[row][v] += sums[row][v] * scale;
      if (panel.minimums == nullptr) continue;
      const vfloat minimum = load(panel.minimums + group * kPanel + v * kLanes);
      for (int row = 0; row < Rows; ++row) totals[row][v] += minimum * x_sums[row * groups + group];
    }
  }
  for (int row = 0; row < Rows; ++row) {
    by_lanes(0, outputs, [&](int64_t o, auto... lanes) {
      vfloat value = totals[row][o / kLanes];
      if (bias) value += load(bias + o, lanes...);
      store(y + row * out + o, value, lanes...);
    });
  }
}

void few_rows(const LinearSizes& s, Dtype dtype, const std::byte* x, const QuantizedWeight& weight, const std::byte* bias,
              std::byte* y, Stream& stream) {
  const int64_t inputs = padded_in(weight);
  const int64_t groups = weight.scales.shape[1];
  const float* rows = padded_rows(s, dtype, x, inputs, stream);
  if (integer_product(s, rows, weight, dtype, bias, y, stream)) return;
  float* x_sums = stream.scratch_of<float>(s.rows * groups);
  for (int64_t i = 0; i < s.rows * groups; ++i) {
    const int64_t first = i % groups * kQuantizedGroup;
    vfloat partial = splat(0);
    by_lanes(first, std::min(first + kQuantizedGroup, inputs),
             [&](int64_t at, auto... lanes) { partial += load(rows + i / groups * inputs + at, lanes...); });
    x_sums[i] = sum(partial);
  }
  by_dtype(dtype, [&]<typename T>(Type<T>) {
    const auto* shift = reinterpret_cast<const T*>(bias);
    auto* result = reinterpret_cast<T*>(y);
    parallel_ranges((s.out + kPanel - 1) / kPanel, kWeightGrain / (inputs * kPanel) + 1, [&](int64_t begin, int64_t end) {
      for (int64_t panel = begin; panel < end; ++panel) {
        const int64_t output = panel * kPanel;
        by_rows(s.rows, [&](auto count, int64_t row) {
          panel_rows<T, count>(panel_of(weight, panel), rows + row * inputs, inputs, x_sums + row * groups, groups,
                               shift ? shift + output : nullptr, std::min(kPanel, s.out - output),
                               result + row * s.out + output, s.out);
        });
      }
    });
  });
}

vuint rounded_to_bf16(vfloat value) {
  const auto word = std::bit_cast<vuint>(value);
  return word + 0x7fff + ((word >> 16) & 1);
}

// Panels in the packed order of bf16 or f32, for the product of many rows.
void expand(const QuantizedWeight& weight, Dtype dtype, int64_t first, int64_t count, std::byte* to) {
  const int64_t inputs = packed_in(weight.in, dtype);
  parallel_ranges(count, 1, [&](int64_t begin, int64_t end) {
    float block[kQuantizedGroup * kPanel];
    for (int64_t p = begin; p < end; ++p) {
      const QuantizedPanel panel = panel_of(weight, first + p);
      std::byte* target = to + p * inputs * kPanel * size_of(dtype);
      for (int64_t input = 0; input < inputs; input += kQuantizedGroup) {
        const int64_t padded = std::min(kQuantizedGroup, padded_in(weight) - input);
        dequantize_block(panel, input, input + padded, block);
        // Padding has to be 0, not the minimum.
        std::fill(block + std::clamp<int64_t>(weight.in - input, 0, padded) * kPanel, block + padded * kPanel, 0.0F);
        const int64_t kept = std::min(kQuantizedGroup, inputs - input);
        std::byte* begin_of_block = target + input * kPanel * size_of(dtype);
        if (dtype == Dtype::f32) {
          std::memcpy(begin_of_block, block, static_cast<size_t>(kept * kPanel) * sizeof(float));
          continue;
        }
        for (int64_t i = 0; i < kept; i += 2) {
          for (int64_t o = 0; o < kPanel; o += kLanes) {
            const vuint even = rounded_to_bf16(load(block + i * kPanel + o)) >> 16;
            const vuint odd = rounded_to_bf16(load(block + (i + 1) * kPanel + o)) & 0xffff0000U;
            const vuint pair = even | odd;
            std::memcpy(begin_of_block + (i * kPanel + o * 2) * 2, &pair, sizeof pair);
          }
        }
      }
    }
  });
}

}  // namespace

void run(const QuantizedLinear& op, Stream& stream) {
  const LinearSizes s{op.x.shape.count(0, op.x.shape.rank - 1), op.x.shape[-1], op.out};
  const Dtype dtype = op.x.dtype;
  const std::byte* bias = op.bias ? op.bias->raw() : nullptr;
  const QuantizedWeight weight{op.values, op.scales, op.minimums, s.out, s.in};
  if (s.rows == 0 || s.out == 0 || s.in == 0) {
    return product({.rows = s.rows, .columns = s.out, .inner = s.in, .dtype = dtype, .result = dtype}, op.x.raw(), nullptr,
                   bias, op.y.raw(), stream);
  }
  if (s.rows <= kFewRows) return few_rows(s, dtype, op.x.raw(), weight, bias, op.y.raw(), stream);
  if (integer_panel_product(s, dtype, op.x.raw(), weight, bias, op.y.raw(), stream)) return;
  const Dtype panels = dtype == Dtype::bf16 && can_multiply(Dtype::bf16, true) ? Dtype::bf16 : Dtype::f32;
  product_of_panels(
      s, dtype, op.x.raw(), panels,
      [&](int64_t first, int64_t count, std::byte* to) { expand(weight, panels, first, count, to); }, bias, op.y.raw(),
      false, stream);
}

void run(const QuantizedLinearBackward& op, Stream& stream) {
  const LinearSizes s{op.dy.shape.count(0, op.dy.shape.rank - 1), op.in, op.out};
  const Dtype dtype = op.dy.dtype;
  if (op.dbias) linear_bias_gradient(s, dtype, op.dy.raw(), op.dbias.raw());
  if (!op.dx) return;
  const Dtype wide = dtype == Dtype::bf16 ? Dtype::bf16 : Dtype::f32;
  std::byte* rows = stream.scratch(s.out * s.in * size_of(wide));
  dequantize_rows({op.values, op.scales, op.minimums, op.out, op.in}, wide, rows);
  const Product p{.rows = s.rows, .columns = s.in, .inner = s.out, .dtype = wide, .result = wide};
  if (dtype == wide) return product(p, op.dy.raw(), rows, nullptr, op.dx.raw(), stream);
  const int64_t count = s.rows * s.in;
  float* dy = stream.scratch_of<float>(s.rows * s.out);
  float* dx = stream.scratch_of<float>(count);
  widen(op.dy.raw(), dtype, dy, s.rows * s.out);
  product(p, reinterpret_cast<std::byte*>(dy), rows, nullptr, reinterpret_cast<std::byte*>(dx), stream);
  narrow(dx, op.dx.raw(), dtype, count);
}

}  // namespace mglmm::cpu
