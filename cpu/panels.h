// Moves between rows [out, in] and the packed order of kernels/panels.h.
#pragma once
#include <algorithm>
#include <cstdint>
#include <type_traits>

#include "cpu/parallel.h"
#include "cpu/transpose.h"
#include "kernels/panels.h"

namespace mglmm::cpu {

// Where the inputs of one output stand in its panel: element i at i * kPanel, bf16 in pairs.
template <typename T>
int64_t in_panel(int64_t input, int64_t output) {
  if constexpr (sizeof(T) == 2 && !std::is_same_v<T, f16>) return (input / 2 * kPanel + output) * 2 + input % 2;
  return input * kPanel + output;
}

// Whether panels hold words of 32 bits side by side that rows hold one after another: an element of f32, two of bf16.
template <typename T>
inline constexpr bool kWords = !std::is_same_v<T, f16>;
template <typename T>
inline constexpr int64_t kWordElements = 4 / static_cast<int64_t>(sizeof(T));

// Panels [first, first + count) of `rows` [out, in] into `packed`, which begins with the first of them.
template <typename T>
void pack_panels(const T* rows, int64_t out, int64_t in, int64_t padded_in, int64_t first, int64_t count, T* packed) {
  parallel_ranges(count, 1, [=](int64_t begin, int64_t end) {
    for (int64_t panel = begin; panel < end; ++panel) {
      T* to = packed + panel * kPanel * padded_in;
      const int64_t output = (first + panel) * kPanel;
      const int64_t outputs = std::min(kPanel, out - output);
      constexpr int64_t kBlock = 64;  // inputs at a time: a square that the first cache holds
      int64_t done = 0;
      if (kWords<T> && outputs == kPanel && in % kWordElements<T> == 0) {
        constexpr int64_t kSide = kSquareWords * kWordElements<T>;  // inputs
        for (; done + kSide <= in; done += kSide) {
          for (int64_t o = 0; o < kPanel; o += kSquareWords) {
            transpose_square(rows + (output + o) * in + done, in / kWordElements<T>,
                             reinterpret_cast<uint32_t*>(to + done * kPanel) + o, kPanel);
          }
        }
      }
      for (int64_t block = done; block < padded_in; block += kBlock) {
        const int64_t stop = std::min(block + kBlock, padded_in);
        for (int64_t o = 0; o < kPanel; ++o) {
          const T* from = rows + (output + o) * in;
          const int64_t filled = o < outputs ? std::clamp(in, block, stop) : block;
          for (int64_t i = block; i < filled; ++i) to[in_panel<T>(i, o)] = from[i];
          for (int64_t i = filled; i < stop; ++i) to[in_panel<T>(i, o)] = T();
        }
      }
    }
  });
}

template <typename T>
void unpack_panels(const T* packed, int64_t out, int64_t in, int64_t padded_in, T* rows) {
  parallel_ranges((out + kPanel - 1) / kPanel, 1, [=](int64_t begin, int64_t end) {
    for (int64_t panel = begin; panel < end; ++panel) {
      const T* from = packed + panel * kPanel * padded_in;
      const int64_t outputs = std::min(kPanel, out - panel * kPanel);
      constexpr int64_t kBlock = 64;
      for (int64_t block = 0; block < in; block += kBlock) {
        const int64_t stop = std::min(block + kBlock, in);
        for (int64_t o = 0; o < outputs; ++o) {
          T* to = rows + (panel * kPanel + o) * in;
          for (int64_t i = block; i < stop; ++i) to[i] = from[in_panel<T>(i, o)];
        }
      }
    }
  });
}

}  // namespace mglmm::cpu
