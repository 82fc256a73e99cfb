#include "kernels/quantize.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "cpu/parallel.h"
#include "cpu/quantized.h"
#include "kernels/stream.h"

namespace mglmm::cpu {
namespace {

// The least bf16 at or above a number that is not negative.
bf16 rounded_up(float value) {
  bf16 rounded(value);
  if (static_cast<float>(rounded) < value) ++rounded.bits;
  return rounded;
}

struct Range {
  float least, largest;
};

template <typename T>
Range range_of(const T* weights, int64_t count) {
  Range range{std::numeric_limits<float>::max(), std::numeric_limits<float>::lowest()};
  for (int64_t i = 0; i < count; ++i) {
    const float weight = weights[i];
    if (!std::isfinite(weight)) return {0, std::numeric_limits<float>::quiet_NaN()};
    range = {std::min(range.least, weight), std::max(range.largest, weight)};
  }
  return range;
}

// One group of one output; `set(i, value)` stores the value of input i.
template <typename T, typename Set>
void quantize_group(const T* weights, int64_t count, bool four_bits, bf16& scale, bf16& minimum, const Set& set) {
  const auto [least, largest] = range_of(weights, count);
  const float limit = four_bits ? 15.0F : 127.0F;
  if (four_bits) minimum = bf16(least);
  const float shift = four_bits ? static_cast<float>(minimum) : 0.0F;
  // In halves, as the largest less the least may be no f32.
  const float reach =
      four_bits ? (largest / 2 - shift / 2) / limit * 2 : std::max(std::abs(least), std::abs(largest)) / limit;
  scale = std::isnan(largest) ? bf16(largest) : rounded_up(std::max(reach, 0.0F));
  const float step = scale;
  for (int64_t i = 0; i < count; ++i) {
    const float steps = step > 0 ? static_cast<float>(weights[i]) / step - shift / step : 0.0F;
    const float kept = std::clamp(std::nearbyint(std::isfinite(steps) ? steps : 0.0F), four_bits ? 0.0F : -limit, limit);
    set(i, static_cast<int>(kept));
  }
}

}  // namespace

void run(const Quantize& op, Stream&) {
  const int64_t out = op.weight.shape[0], in = op.weight.shape[1];
  const bool four_bits = op.kind == Quantization::int4;
  const int64_t groups = op.scales.shape[1];
  const int64_t panel_bytes = op.values.shape.count(1, 3);
  auto* values = op.values.data<uint8_t>();
  auto* scales = op.scales.data<bf16>();
  auto* minimums = four_bits ? op.minimums.data<bf16>() : nullptr;
  by_dtype(op.weight.dtype, [&]<typename T>(Type<T>) {
    const T* weight = op.weight.data<T>();
    parallel_ranges(op.values.shape[0], 1, [=](int64_t begin, int64_t end) {
      for (int64_t panel = begin; panel < end; ++panel) {
        uint8_t* bytes = values + panel * panel_bytes;
        std::fill(bytes, bytes + panel_bytes, uint8_t{0});
        for (int64_t group = 0; group < groups; ++group) {
          const int64_t at = (panel * groups + group) * kPanel;
          for (int64_t o = 0; o < kPanel; ++o) {
            bf16 minimum(0.0F);
            if (panel * kPanel + o >= out) {
              scales[at + o] = minimum;
            } else {
              const int64_t first = group * kQuantizedGroup;
              quantize_group(weight + (panel * kPanel + o) * in + first, std::min(kQuantizedGroup, in - first), four_bits,
                             scales[at + o], minimum, [=](int64_t i, int value) {
                               const int64_t input = first + i;
                               const int64_t word = (four_bits ? input / 8 : input / 4) * kPanel + o;
                               const int shift = four_bits ? static_cast<int>(input % 8 / 4 * 4) : 0;
                               bytes[word * 4 + input % 4] |= static_cast<uint8_t>(value << shift);
                             });
            }
            if (minimums) minimums[at + o] = minimum;
          }
        }
      }
    });
  });
}

void dequantize_rows(const QuantizedWeight& weight, Dtype dtype, std::byte* rows) {
  by_dtype(dtype, [&]<typename T>(Type<T>) {
    auto* to = reinterpret_cast<T*>(rows);
    parallel_ranges((weight.out + kPanel - 1) / kPanel, 1, [&, to](int64_t begin, int64_t end) {
      float block[kQuantizedGroup * kPanel];
      for (int64_t panel = begin; panel < end; ++panel) {
        const int64_t outputs = std::min(kPanel, weight.out - panel * kPanel);
        for (int64_t first = 0; first < weight.in; first += kQuantizedGroup) {
          const int64_t last = std::min(first + kQuantizedGroup, padded_in(weight));
          dequantize_block(panel_of(weight, panel), first, last, block);
          const int64_t inputs = std::min(last, weight.in) - first;
          for (int64_t o = 0; o < outputs; ++o) {
            T* row = to + (panel * kPanel + o) * weight.in + first;
            for (int64_t i = 0; i < inputs; ++i) row[i] = T(block[i * kPanel + o]);
          }
        }
      }
    });
  });
}

void run(const Dequantize& op, Stream&) {
  dequantize_rows({op.values, op.scales, op.minimums, op.out, op.in}, Dtype::f32, op.weight.raw());
}

}  // namespace mglmm::cpu
