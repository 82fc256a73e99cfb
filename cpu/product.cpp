#include "cpu/product.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "cpu/panel_product.h"
#include "cpu/panel_product/dots.h"
#include "cpu/panel_product/tiles.h"
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

// Columns [first, first + count) of y [rows, out] from `part` [rows, count].
template <typename From, typename To>
void place_columns(const From* part, int64_t rows, int64_t first, int64_t count, To* y, int64_t out) {
  parallel_ranges(rows, kElementGrain / count + 1, [=](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      by_lanes(0, count, [&](int64_t i, auto... lanes) {
        store(y + row * out + first + i, load(part + row * count + i, lanes...), lanes...);
      });
    }
  });
}

// Whether our own kernel multiplies it faster than oneDNN, which is given what is too small to be worth packing.
bool is_for_dots(const Product& p) {
  constexpr int64_t kLeast = 256;
  return p.dtype == Dtype::bf16 && p.stack == 1 && p.rows >= kLeast && p.columns >= kLeast && p.inner >= kLeast &&
         has_dots() && !has_tiles() && !inside_parallel();
}

PanelProduct panels_of(const LinearSizes& sizes, const std::byte* x, const std::byte* bias, std::byte* y, bool made) {
  return {.sizes = sizes,
          .x = reinterpret_cast<const bf16*>(x),
          .bias = reinterpret_cast<const bf16*>(bias),
          .y = reinterpret_cast<bf16*>(y),
          .made = made};
}

// x [rows, in] as pieces [rows, size] of `size` inputs each, one after the other, the last one shorter.
const std::byte* in_pieces(const LinearSizes& s, Dtype dtype, const std::byte* x, int64_t size, Stream& stream) {
  if (size >= s.in) return x;
  const int64_t width = size_of(dtype);
  std::byte* pieces = stream.scratch(s.rows * s.in * width);
  parallel_ranges(s.rows, kElementGrain / s.in + 1, [=](int64_t begin, int64_t end) {
    for (int64_t first = 0; first < s.in; first += size) {
      const int64_t count = std::min(size, s.in - first);
      std::byte* to = pieces + first * s.rows * width;
      for (int64_t row = begin; row < end; ++row) {
        std::memcpy(to + row * count * width, x + (row * s.in + first) * width, static_cast<size_t>(count * width));
      }
    }
  });
  return pieces;
}

// y = x weight^T + bias from a packed weight, in blocks of rows by groups of panels, each one thread's work. oneDNN given
// the whole product takes so long a way through a large weight that caches lose it: this is 1.5 to 3 times faster in bf16.
// What a block's inputs, taken in pieces, and its f32 sums need stays in the second cache.
void product_by_blocks(const LinearSizes& s, Dtype dtype, const std::byte* x, const std::byte* weight, const std::byte* bias,
                       std::byte* y, Stream& stream) {
  constexpr int64_t kBlockRows = 512;
  constexpr int64_t kGroup = 4;
  const int64_t longest = dtype == Dtype::bf16 ? 1536 : 2048;  // inputs of a piece
  const int64_t pieces = (s.in + longest - 1) / longest;
  const int64_t size = pieces == 1 ? s.in : round_up((s.in + pieces - 1) / pieces, 32);
  const int64_t blocks = (s.rows + kBlockRows - 1) / kBlockRows;
  const int64_t block_rows = (s.rows + blocks - 1) / blocks;
  const int64_t width = size_of(dtype);
  const int64_t padded_in = packed_in(s.in, dtype);
  const int64_t panels = (s.out + kPanel - 1) / kPanel;
  const std::byte* left = in_pieces(s, dtype, x, size, stream);
  const int64_t sums_count = block_rows * kPanel;
  float* all_sums = stream.scratch_of<float>(sums_count * kGroup * thread_count());
  parallel_pieces((panels + kGroup - 1) / kGroup * blocks, [&](int64_t task) {
    float* sums = all_sums + sums_count * kGroup * thread_index();
    const int64_t first_panel = task / blocks * kGroup;
    const int64_t group = std::min(kGroup, panels - first_panel);
    const int64_t row = task % blocks * block_rows;
    const int64_t rows = std::min(block_rows, s.rows - row);
    if (rows <= 0) return;
    const auto outputs_of = [&](int64_t panel) { return std::min(kPanel, s.out - panel * kPanel); };
    for (int64_t first = 0; first < s.in; first += size) {
      const int64_t count = std::min(size, s.in - first);
      for (int64_t p = 0; p < group; ++p) {
        multiply({.rows = rows,
                  .columns = outputs_of(first_panel + p),
                  .inner = count,
                  .dtype = dtype,
                  .result = Dtype::f32,
                  .b_packed = true,
                  .accumulate = first > 0},
                 left + (first * s.rows + row * count) * width,
                 weight + ((first_panel + p) * padded_in + first) * kPanel * width, nullptr, sums + p * sums_count, stream);
      }
    }
    by_dtype(dtype, [&]<typename T>(Type<T>) {
      for (int64_t p = 0; p < group; ++p) {
        const int64_t output = (first_panel + p) * kPanel;
        const int64_t outputs = outputs_of(first_panel + p);
        const T* shift = bias ? reinterpret_cast<const T*>(bias) + output : nullptr;
        T* to = reinterpret_cast<T*>(y) + row * s.out + output;
        for (int64_t r = 0; r < rows; ++r) {
          by_lanes(0, outputs, [&](int64_t o, auto... lanes) {
            vfloat value = load(sums + p * sums_count + r * outputs + o, lanes...);
            if (shift) value += load(shift + o, lanes...);
            store(to + r * s.out + o, value, lanes...);
          });
        }
      }
    });
  });
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
  if (is_for_dots(p)) {
    const auto bf16_at = [](const std::byte* at) { return reinterpret_cast<const bf16*>(at); };
    return dot_product(p, bf16_at(a), bf16_at(b), bf16_at(bias), y, stream);
  }
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
                       const std::byte* bias, std::byte* y, Stream& stream) {
  if (dtype == Dtype::bf16 && panel_dtype == Dtype::bf16 && has_panel_product()) {
    const auto made = [&](int64_t first, int64_t count, std::byte* memory) {
      expand(first, count, memory);
      return memory;
    };
    return panel_product(panels_of(s, x, bias, y, true), made, stream);
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
              .bias = bias != nullptr},
             left, packed ? expanded : reinterpret_cast<std::byte*>(plain),
             shift ? shift + first * kPanel * size_of(panel_dtype) : nullptr, whole ? y : part, stream);
    if (whole) return;
    by_dtype(panel_dtype, [&]<typename From>(Type<From>) {
      by_dtype(dtype, [&]<typename To>(Type<To>) {
        place_columns(reinterpret_cast<const From*>(part), s.rows, first * kPanel, outputs, reinterpret_cast<To*>(y), s.out);
      });
    });
  }
}

void linear_product(const LinearSizes& s, Dtype dtype, const std::byte* x, const TensorRef& weight, const std::byte* bias,
                    std::byte* y, Stream& stream) {
  const bool packed = weight.layout == Layout::packed;
  Product p{.rows = s.rows,
            .columns = s.out,
            .inner = s.in,
            .dtype = dtype,
            .result = dtype,
            .b_transposed = true,
            .bias = bias != nullptr};
  if (s.rows == 0 || s.out == 0 || s.in == 0) return product(p, x, weight.raw(), bias, y, stream);
  if (s.rows <= kFewRows) return row_product(s, dtype, x, weight, bias, y, stream);
  if (!packed) return product(p, x, weight.raw(), bias, y, stream);
  if (dtype == Dtype::bf16 && has_panel_product()) {
    const int64_t panel_bytes = kPanel * packed_in(s.in, dtype) * size_of(dtype);
    return panel_product(
        panels_of(s, x, bias, y, false),
        [&](int64_t first, int64_t, std::byte*) { return weight.raw() + first * panel_bytes; }, stream);
  }
  if (can_multiply(dtype, true)) {
    constexpr int64_t kManyRows = 64;
    if (s.rows >= kManyRows && s.out >= 8 * kPanel) {
      return product_by_blocks(s, dtype, x, weight.raw(), bias, y, stream);
    }
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
  product_of_panels(s, dtype, x, Dtype::f32, expand, bias, y, stream);
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
