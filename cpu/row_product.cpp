#include "cpu/row_product.h"

#include <algorithm>
#include <cstring>
#include <type_traits>

#include "cpu/parallel.h"
#include "cpu/simd.h"
#include "kernels/panels.h"

namespace mglmm::cpu {
namespace {

constexpr int kVectors = static_cast<int>(kPanel) / kLanes;

// One panel by Rows rows of x: sums[row][vector] over all inputs, in order.
template <typename T, int Rows>
void panel_sums(const T* panel, const float* x, int64_t padded_in, vfloat (&sums)[Rows][kVectors]) {
  for (int64_t i = 0; i < padded_in; ++i) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      const vfloat weight = load(panel + i * kPanel + v * kLanes);
      for (int row = 0; row < Rows; ++row) sums[row][v] += weight * x[row * padded_in + i];
    }
  }
}
template <int Rows>
void panel_sums(const bf16* panel, const float* x, int64_t padded_in, vfloat (&sums)[Rows][kVectors]) {
  for (int64_t i = 0; i < padded_in; i += 2) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      vuint pair;
      std::memcpy(&pair, panel + i * kPanel + v * kLanes * 2, sizeof pair);
      const vfloat even = std::bit_cast<vfloat>(pair << 16);
      const vfloat odd = std::bit_cast<vfloat>(pair & 0xffff0000U);
      for (int row = 0; row < Rows; ++row) {
        sums[row][v] += even * x[row * padded_in + i];
        sums[row][v] += odd * x[row * padded_in + i + 1];
      }
    }
  }
}

template <typename T, int Rows>
void panel_rows(const T* panel, const float* x, int64_t padded_in, const T* bias, const T* residual, int64_t outputs, T* y,
                int64_t out) {
  vfloat sums[Rows][kVectors] = {};
  panel_sums(panel, x, padded_in, sums);
  for (int row = 0; row < Rows; ++row) {
    by_lanes(0, outputs, [&](int64_t o, auto... lanes) {
      vfloat value = sums[row][o / kLanes];
      if (bias) value += load(bias + o, lanes...);
      if (residual) value += load(residual + row * out + o, lanes...);
      store(y + row * out + o, value, lanes...);
    });
  }
}

// Rows rows of x by one row of the weight.
template <typename T, int Rows>
void row_dots(const T* weight, const float* x, int64_t in, int64_t padded_in, float (&dots)[Rows]) {
  constexpr int kUnroll = 4;
  vfloat sums[Rows][kUnroll] = {};
  int64_t i = 0;
  for (; i + kUnroll * kLanes <= in; i += kUnroll * kLanes) {
    for (int u = 0; u < kUnroll; ++u) {
      const vfloat w = load(weight + i + u * kLanes);
      for (int row = 0; row < Rows; ++row) sums[row][u] += w * load(x + row * padded_in + i + u * kLanes);
    }
  }
  by_lanes(i, in, [&](int64_t at, auto... lanes) {
    const vfloat w = load(weight + at, lanes...);
    for (int row = 0; row < Rows; ++row) sums[row][0] += w * load(x + row * padded_in + at, lanes...);
  });
  for (int row = 0; row < Rows; ++row) dots[row] = sum((sums[row][0] + sums[row][1]) + (sums[row][2] + sums[row][3]));
}

template <typename T>
void packed_rows(const LinearSizes& s, int64_t padded_in, const float* x, const T* weight, const T* bias, const T* residual,
                 T* y) {
  const int64_t panels = (s.out + kPanel - 1) / kPanel;
  const int64_t grain = kWeightGrain / (padded_in * kPanel) + 1;
  parallel_ranges(panels, grain, [=](int64_t begin, int64_t end) {
    for (int64_t panel = begin; panel < end; ++panel) {
      const int64_t output = panel * kPanel;
      by_rows(s.rows, [&](auto rows, int64_t row) {
        const int64_t place = row * s.out + output;
        panel_rows<T, rows>(weight + output * padded_in, x + row * padded_in, padded_in, bias ? bias + output : nullptr,
                            residual ? residual + place : nullptr, std::min(kPanel, s.out - output), y + place, s.out);
      });
    }
  });
}

template <typename T>
void plain_rows(const LinearSizes& s, int64_t padded_in, const float* x, const T* weight, const T* bias, const T* residual,
                T* y) {
  parallel_ranges(s.out, kWeightGrain / s.in + 1, [=](int64_t begin, int64_t end) {
    for (int64_t output = begin; output < end; ++output) {
      by_rows(s.rows, [&](auto rows, int64_t row) {
        float dots[rows];
        row_dots<T, rows>(weight + output * s.in, x + row * padded_in, s.in, padded_in, dots);
        for (int r = 0; r < rows; ++r) {
          const int64_t place = (row + r) * s.out + output;
          float value = dots[r];
          if (bias) value += static_cast<float>(bias[output]);
          if (residual) value += static_cast<float>(residual[place]);
          y[place] = T(value);
        }
      });
    }
  });
}

}  // namespace

float* padded_rows(const LinearSizes& s, Dtype dtype, const std::byte* x, int64_t padded_in, Stream& stream) {
  float* padded = stream.scratch_of<float>(s.rows * padded_in);
  by_dtype(dtype, [&]<typename T>(Type<T>) {
    for (int64_t row = 0; row < s.rows; ++row) {
      const T* from = reinterpret_cast<const T*>(x) + row * s.in;
      float* to = padded + row * padded_in;
      by_lanes(0, s.in, [&](int64_t i, auto... lanes) { store(to + i, load(from + i, lanes...), lanes...); });
      std::fill(to + s.in, to + padded_in, 0.0F);
    }
  });
  return padded;
}

void row_product(const LinearSizes& sizes, Dtype dtype, const std::byte* x, const TensorRef& weight, const std::byte* bias,
                 const std::byte* residual, std::byte* y, Stream& stream) {
  const int64_t padded_in = packed_in(sizes.in, dtype);
  const float* rows = padded_rows(sizes, dtype, x, padded_in, stream);
  by_dtype(dtype, [&]<typename T>(Type<T>) {
    const auto* w = reinterpret_cast<const T*>(weight.raw());
    const auto* b = reinterpret_cast<const T*>(bias);
    const auto* before = reinterpret_cast<const T*>(residual);
    auto* result = reinterpret_cast<T*>(y);
    if (weight.layout == Layout::packed)
      packed_rows(sizes, padded_in, rows, w, b, before, result);
    else
      plain_rows(sizes, padded_in, rows, w, b, before, result);
  });
}

}  // namespace mglmm::cpu
