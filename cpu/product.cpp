#include "cpu/product.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "cpu/panel_product.h"
#include "cpu/panel_product/tiles.h"
#include "cpu/panel_product/vectors.h"
#include "cpu/panels.h"
#include "cpu/parallel.h"
#include "cpu/row_product.h"
#include "cpu/simd.h"
#include "kernels/panels.h"

namespace mglmm::cpu {
namespace {

constexpr int64_t kPanelsAtOnce = 16;  // of a weight that is expanded: 1024 outputs, a few MiB

const float* widened(const std::byte* from, Dtype dtype, int64_t count, Stream& stream) {
  if (dtype == Dtype::f32 || from == nullptr) return reinterpret_cast<const float*>(from);
  float* to = stream.scratch_of<float>(count);
  widen(from, dtype, to, count);
  return to;
}

// y[row, :] = bias or 0, for all rows.
void fill(const Product& p, const std::byte* bias, std::byte* y) {
  const int64_t row_bytes = p.columns * size_of(p.result);
  std::vector<std::byte> row(static_cast<size_t>(row_bytes));
  if (bias && p.dtype == p.result) {
    std::memcpy(row.data(), bias, row.size());
  } else if (bias) {
    widen(bias, p.dtype, reinterpret_cast<float*>(row.data()), p.columns);
  }
  for (int64_t i = 0; i < p.stack * p.rows; ++i) std::memcpy(y + i * row_bytes, row.data(), row.size());
}

// Columns [first, first + count) of y [rows, out] from `part` [rows, count], or those of both.
template <typename From, typename To>
void place_columns(const From* part, int64_t rows, int64_t first, int64_t count, To* y, int64_t out, bool accumulate) {
  parallel_ranges(rows, kElementGrain / count + 1, [=](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      To* to = y + row * out + first;
      by_lanes(0, count, [&](int64_t i, auto... lanes) {
        const vfloat value = load(part + row * count + i, lanes...);
        store(to + i, accumulate ? value + load(to + i, lanes...) : value, lanes...);
      });
    }
  });
}

// Whether our own kernel multiplies it faster than oneDNN, which is given what is too small to be worth packing.
bool is_for_vectors(const Product& p) {
  const int64_t least = p.dtype == Dtype::bf16 ? 256 : 512;
  return p.stack == 1 && p.rows >= least && p.columns >= least && p.inner >= least && has_vector_product(p.dtype) &&
         !(p.dtype == Dtype::bf16 && has_tiles()) && !inside_parallel();
}

}  // namespace

void widen(const std::byte* from, Dtype dtype, float* to, int64_t count) {
  by_dtype(dtype, [&]<typename T>(Type<T>) {
    const auto* source = reinterpret_cast<const T*>(from);
    parallel_ranges(count, kElementGrain, [=](int64_t begin, int64_t end) {
      by_lanes(begin, end, [=](int64_t i, auto... lanes) { store(to + i, load(source + i, lanes...), lanes...); });
    });
  });
}

void narrow(const float* from, std::byte* to, Dtype dtype, int64_t count) {
  by_dtype(dtype, [&]<typename T>(Type<T>) {
    auto* target = reinterpret_cast<T*>(to);
    parallel_ranges(count, kElementGrain, [=](int64_t begin, int64_t end) {
      by_lanes(begin, end, [=](int64_t i, auto... lanes) { store(target + i, load(from + i, lanes...), lanes...); });
    });
  });
}

void product(const Product& p, const std::byte* a, const std::byte* b, const std::byte* bias, std::byte* y, Stream& stream) {
  const int64_t count = p.stack * p.rows * p.columns;
  if (count == 0) return;
  if (p.inner == 0) {
    if (!p.accumulate) fill(p, bias, y);
    return;
  }
  if (is_for_vectors(p)) return vector_product(p, a, b, bias, y, stream);
  if (can_multiply(p.dtype, false)) return multiply(p, a, b, bias, y, stream);
  Product wide = p;
  wide.dtype = wide.result = Dtype::f32;
  float* result = p.result == Dtype::f32 ? reinterpret_cast<float*>(y) : stream.scratch_of<float>(count);
  if (p.accumulate && p.result != Dtype::f32) widen(y, p.result, result, count);
  multiply(wide, widened(a, p.dtype, (p.a_shared ? 1 : p.stack) * p.rows * p.inner, stream),
           widened(b, p.dtype, (p.b_shared ? 1 : p.stack) * p.inner * p.columns, stream),
           widened(bias, p.dtype, p.columns, stream), result, stream);
  if (p.result != Dtype::f32) narrow(result, y, p.result, count);
}

void product_of_panels(const LinearSizes& s, Dtype dtype, const std::byte* x, Dtype panel_dtype, const Expand& expand,
                       const std::byte* bias, std::byte* y, bool accumulate, Stream& stream) {
  if (dtype == panel_dtype && has_panel_product(dtype)) {
    const auto made = [&](int64_t first, int64_t count, std::byte* memory) {
      expand(first, count, memory);
      return memory;
    };
    return panel_product({s, dtype, x, bias, accumulate ? y : nullptr, y, true}, made, stream);
  }
  const int64_t padded_in = packed_in(s.in, panel_dtype);
  const int64_t panels = (s.out + kPanel - 1) / kPanel;
  const int64_t at_once = std::min(panels, kPanelsAtOnce);
  std::byte* expanded = stream.scratch(at_once * kPanel * padded_in * size_of(panel_dtype));
  const bool packed = can_multiply(panel_dtype, true);
  float* plain = packed ? nullptr : stream.scratch_of<float>(at_once * kPanel * s.in);
  const std::byte* left = x;
  const std::byte* shift = bias;
  if (dtype != panel_dtype) {
    left = reinterpret_cast<const std::byte*>(widened(x, dtype, s.rows * s.in, stream));
    shift = reinterpret_cast<const std::byte*>(widened(bias, dtype, s.out, stream));
  }
  std::byte* part = stream.scratch(s.rows * at_once * kPanel * size_of(panel_dtype));
  for (int64_t first = 0; first < panels; first += at_once) {
    const int64_t count = std::min(at_once, panels - first);
    const int64_t outputs = std::min(count * kPanel, s.out - first * kPanel);
    expand(first, count, expanded);
    if (!packed) unpack_panels(reinterpret_cast<const float*>(expanded), outputs, s.in, padded_in, plain);
    const bool whole = outputs == s.out && dtype == panel_dtype;
    multiply({.rows = s.rows,
              .columns = outputs,
              .inner = s.in,
              .dtype = panel_dtype,
              .result = panel_dtype,
              .b_transposed = !packed,
              .b_packed = packed,
              .bias = bias != nullptr,
              .accumulate = accumulate && whole},
             left, packed ? expanded : reinterpret_cast<std::byte*>(plain),
             shift ? shift + first * kPanel * size_of(panel_dtype) : nullptr, whole ? y : part, stream);
    if (whole) return;
    by_dtype(panel_dtype, [&]<typename From>(Type<From>) {
      by_dtype(dtype, [&]<typename To>(Type<To>) {
        place_columns(reinterpret_cast<const From*>(part), s.rows, first * kPanel, outputs, reinterpret_cast<To*>(y), s.out,
                      accumulate);
      });
    });
  }
}

void linear_product(const LinearSizes& s, Dtype dtype, const std::byte* x, const TensorRef& weight, const std::byte* bias,
                    const std::byte* residual, std::byte* y, Stream& stream) {
  const bool packed = weight.layout == Layout::packed;
  Product p{.rows = s.rows,
            .columns = s.out,
            .inner = s.in,
            .dtype = dtype,
            .result = dtype,
            .b_transposed = true,
            .bias = bias != nullptr};
  if (s.rows == 0 || s.out == 0) return;
  if (s.in == 0) {
    product(p, x, weight.raw(), bias, y, stream);
    if (residual) {
      by_dtype(dtype, [&]<typename T>(Type<T>) {
        place_columns(reinterpret_cast<const T*>(residual), s.rows, 0, s.out, reinterpret_cast<T*>(y), s.out, true);
      });
    }
    return;
  }
  if (s.rows <= kFewRows) return row_product(s, dtype, x, weight, bias, residual, y, stream);
  constexpr int64_t kManyRows = 64;
  const bool is_large = s.rows >= kManyRows && s.out >= 8 * kPanel;
  if (packed && has_panel_product(dtype) && (dtype == Dtype::bf16 || is_large)) {
    const int64_t panel_bytes = kPanel * packed_in(s.in, dtype) * size_of(dtype);
    return panel_product(
        {s, dtype, x, bias, residual, y, false},
        [&](int64_t first, int64_t, std::byte*) { return weight.raw() + first * panel_bytes; }, stream);
  }
  if (residual) {
    parallel_ranges(s.rows * s.out * size_of(dtype), 8 * kElementGrain, [=](int64_t begin, int64_t end) {
      std::memcpy(y + begin, residual + begin, static_cast<size_t>(end - begin));
    });
    p.accumulate = true;
  }
  if (!packed) return product(p, x, weight.raw(), bias, y, stream);
  if (can_multiply(dtype, true)) {
    p.b_packed = true;
    return multiply(p, x, weight.raw(), bias, y, stream);
  }
  const int64_t padded_in = packed_in(s.in, dtype);
  const int64_t wide_in = packed_in(s.in, Dtype::f32);
  const auto expand = [&](int64_t first, int64_t count, std::byte* to) {
    const std::byte* from = weight.raw() + first * kPanel * padded_in * size_of(dtype);
    if (padded_in == wide_in && dtype != Dtype::bf16) {
      return widen(from, dtype, reinterpret_cast<float*>(to), count * kPanel * wide_in);
    }
    // bf16: the pairs of inputs come apart.
    auto* wide = reinterpret_cast<float*>(to);
    const auto* pairs = reinterpret_cast<const bf16*>(from);
    parallel_ranges(count, 1, [=](int64_t begin, int64_t end) {
      for (int64_t panel = begin; panel < end; ++panel) {
        for (int64_t i = 0; i < wide_in; ++i) {
          const bf16* source = pairs + panel * kPanel * padded_in + i / 2 * kPanel * 2 + i % 2;
          float* target = wide + (panel * wide_in + i) * kPanel;
          for (int64_t o = 0; o < kPanel; ++o) target[o] = source[2 * o];
        }
      }
    });
  };
  product_of_panels(s, dtype, x, Dtype::f32, expand, bias, y, p.accumulate, stream);
}

void linear_input_gradient(const LinearSizes& s, Dtype dtype, const std::byte* dy, const TensorRef& weight, std::byte* dx,
                           Stream& stream) {
  const std::byte* rows = weight.raw();
  if (weight.layout == Layout::packed) {
    std::byte* unpacked = stream.scratch(s.out * s.in * size_of(dtype));
    by_dtype(dtype, [&]<typename T>(Type<T>) {
      unpack_panels(reinterpret_cast<const T*>(rows), s.out, s.in, packed_in(s.in, dtype), reinterpret_cast<T*>(unpacked));
    });
    rows = unpacked;
  }
  product({.rows = s.rows, .columns = s.in, .inner = s.out, .dtype = dtype, .result = dtype}, dy, rows, nullptr, dx, stream);
}

void linear_weight_gradient(const LinearSizes& s, Dtype dtype, const std::byte* dy, const std::byte* x, std::byte* dweight,
                            Stream& stream) {
  product({.rows = s.out, .columns = s.in, .inner = s.rows, .dtype = dtype, .result = dtype, .a_transposed = true}, dy, x,
          nullptr, dweight, stream);
}

void linear_bias_gradient(const LinearSizes& s, Dtype dtype, const std::byte* dy, std::byte* dbias) {
  by_dtype(dtype, [&]<typename T>(Type<T>) {
    const auto* rows = reinterpret_cast<const T*>(dy);
    auto* sums = reinterpret_cast<T*>(dbias);
    constexpr int64_t kChunk = 64;  // rows summed before their sum joins the total
    parallel_ranges((s.out + kLanes - 1) / kLanes, kElementGrain / (s.rows + 1) / kLanes + 1,
                    [=](int64_t begin, int64_t end) {
                      by_lanes(begin * kLanes, std::min(end * kLanes, s.out), [=](int64_t o, auto... lanes) {
                        vfloat total = splat(0);
                        for (int64_t first = 0; first < s.rows; first += kChunk) {
                          vfloat partial = splat(0);
                          for (int64_t row = first; row < std::min(first + kChunk, s.rows); ++row) {
                            partial += load(rows + row * s.out + o, lanes...);
                          }
                          total += partial;
                        }
                        store(sums + o, total, lanes...);
                      });
                    });
  });
}

}  // namespace mglmm::cpu
