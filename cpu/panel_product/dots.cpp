#include "cpu/panel_product/dots.h"

#include <algorithm>
#include <cstring>

#include "cpu/panel_product/result.h"
#include "cpu/panels.h"
#include "cpu/parallel.h"
#include "cpu/simd.h"
#include "kernels/error.h"
#include "kernels/panels.h"

// A thread takes blocks of rows by groups of panels. A strip of 6 rows by a panel of 64 outputs has its sums in 24 vectors
// that wait for no other; x goes in once as strips, pairs of inputs side by side, in the order they are read in. The inputs
// are taken in pieces, so that a piece of a panel stays in the second cache while the block's strips pass by it.
namespace mglmm::cpu {

#if defined(__AVX512BF16__)
namespace {

constexpr int64_t kMostPanels = 4;   // of a group
constexpr int64_t kMostStrips = 33;  // of a block
constexpr int64_t kPiece = 1024;     // inputs

constexpr int kVectors = static_cast<int>(kPanel) / kLanes;  // of a panel's outputs

// How six vectors of a row's pairs each become six of all rows' pairs in turn.
struct Interleave {
  alignas(64) int32_t pair[kStrip][kLanes] = {};  // of a lane
  uint16_t of_row[kStrip][kStrip] = {};           // [vector][row]: the lanes that are the row's

  constexpr Interleave() {
    for (int64_t vector = 0; vector < kStrip; ++vector) {
      for (int64_t lane = 0; lane < kLanes; ++lane) {
        const int64_t word = vector * kLanes + lane;
        pair[vector][lane] = static_cast<int32_t>(word / kStrip);
        of_row[vector][word % kStrip] |= static_cast<uint16_t>(1U << lane);
      }
    }
  }
};

// Rows [row, row + 6) of x as [in / 2][6][2]; rows from `rows` on, and inputs from `in` on, are 0.
void pack_strip(const bf16* x, int64_t row, int64_t rows, int64_t in, int64_t padded_in, bf16* strip) {
  static constexpr Interleave kInterleave;
  const int64_t filled = std::min(kStrip, rows - row);
  const bf16* from = x + row * in;
  int64_t i = 0;
  for (; filled == kStrip && i + 2 * kLanes <= in; i += 2 * kLanes) {
    __m512i pairs[kStrip];
    for (int64_t r = 0; r < kStrip; ++r) pairs[r] = _mm512_loadu_si512(from + r * in + i);
    for (int64_t vector = 0; vector < kStrip; ++vector) {
      const __m512i places = _mm512_load_si512(kInterleave.pair[vector]);
      __m512i mixed = pairs[0];
      for (int64_t r = 0; r < kStrip; ++r) {
        mixed = _mm512_mask_permutexvar_epi32(mixed, kInterleave.of_row[vector][r], places, pairs[r]);
      }
      _mm512_storeu_si512(strip + i * kStrip + vector * 2 * kLanes, mixed);
    }
  }
  for (; i < padded_in; ++i) {
    for (int64_t r = 0; r < kStrip; ++r) {
      strip[(i / 2 * kStrip + r) * 2 + i % 2] = r < filled && i < in ? from[r * in + i] : bf16();
    }
  }
}

// The same of x [in, rows], which stands in columns.
void pack_columns(const bf16* x, int64_t row, int64_t rows, int64_t in, int64_t padded_in, bf16* strip) {
  const int64_t filled = std::min(kStrip, rows - row);
  for (int64_t i = 0; i < padded_in; i += 2, strip += 2 * kStrip) {
    const bf16* from = x + i * rows + row;
    if (filled == kStrip && i + 1 < in) {
      for (int64_t r = 0; r < kStrip; ++r) {
        strip[2 * r] = from[r];
        strip[2 * r + 1] = from[rows + r];
      }
      continue;
    }
    for (int64_t r = 0; r < kStrip; ++r) {
      strip[2 * r] = r < filled && i < in ? from[r] : bf16();
      strip[2 * r + 1] = r < filled && i + 1 < in ? from[rows + r] : bf16();
    }
  }
}

// sums [6][64] = or += a strip's `depth` inputs by a panel's.
void multiply(const bf16* strip, const bf16* panel, int64_t depth, float* sums, bool accumulate) {
  __m512 totals[kStrip][kVectors];
#pragma GCC unroll 6
  for (int64_t r = 0; r < kStrip; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      totals[r][v] = accumulate ? _mm512_loadu_ps(sums + r * kPanel + v * kLanes) : _mm512_setzero_ps();
    }
  }
  for (int64_t i = 0; i < depth; i += 2, strip += 2 * kStrip, panel += 2 * kPanel) {
    __m512bh weights[kVectors];
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) weights[v] = std::bit_cast<__m512bh>(_mm512_loadu_si512(panel + v * 2 * kLanes));
#pragma GCC unroll 6
    for (int64_t r = 0; r < kStrip; ++r) {
      int32_t pair;
      std::memcpy(&pair, strip + r * 2, sizeof pair);
      const auto inputs = std::bit_cast<__m512bh>(_mm512_set1_epi32(pair));
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) totals[r][v] = _mm512_dpbf16_ps(totals[r][v], weights[v], inputs);
    }
  }
#pragma GCC unroll 6
  for (int64_t r = 0; r < kStrip; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) _mm512_storeu_ps(sums + r * kPanel + v * kLanes, totals[r][v]);
  }
}

// All strips of a left side, each written by pack(strip, memory).
template <typename Pack>
const bf16* strips_of(int64_t rows, int64_t padded_in, Stream& stream, Pack&& pack) {
  const int64_t strips = (rows + kStrip - 1) / kStrip;
  bf16* packed = stream.scratch_of<bf16>(strips * kStrip * padded_in);
  parallel_ranges(strips, 1 + kElementGrain / (kStrip * padded_in), [&](int64_t begin, int64_t end) {
    for (int64_t strip = begin; strip < end; ++strip) pack(strip, packed + strip * kStrip * padded_in);
  });
  return packed;
}

// `is_made`: the source needs memory.
template <typename T>
void multiply_strips(int64_t in, const bf16* packed, const PanelSource& source, bool is_made, const Result<T>& result,
                     Stream& stream) {
  const int64_t rows = result.rows, out = result.out;
  const int64_t padded_in = packed_in(in, Dtype::bf16);
  const int64_t strips = (rows + kStrip - 1) / kStrip;
  const int64_t panels = (out + kPanel - 1) / kPanel;
  const int64_t blocks = (strips + kMostStrips - 1) / kMostStrips;
  const int64_t groups = std::min(panels, round_up((panels + kMostPanels - 1) / kMostPanels, thread_count()));
  const int64_t pieces = (padded_in + kPiece - 1) / kPiece;
  const int64_t piece = round_up((padded_in + pieces - 1) / pieces, 2);
  const int64_t most_panels = (panels + groups - 1) / groups;
  const int64_t most_strips = (strips + blocks - 1) / blocks;
  const int64_t sums_count = most_panels * most_strips * kStripSums;
  const int64_t made_bytes = is_made ? most_panels * kPanel * padded_in * size_of(Dtype::bf16) : 0;
  float* all_sums = stream.scratch_of<float>(sums_count * thread_count());
  std::byte* made = stream.scratch(made_bytes * thread_count());
  parallel_ranges(groups * blocks, 1, [&](int64_t begin, int64_t end) {
    float* thread_sums = all_sums + thread_index() * sums_count;
    const bf16* weight = nullptr;
    for (int64_t task = begin; task < end; ++task) {
      const int64_t group = task / blocks, block = task % blocks;
      const int64_t first_panel = group * panels / groups, group_panels = (group + 1) * panels / groups - first_panel;
      const int64_t first_strip = block * strips / blocks, end_strip = (block + 1) * strips / blocks;
      if (task == begin || block == 0) {
        weight = reinterpret_cast<const bf16*>(source(first_panel, group_panels, made + thread_index() * made_bytes));
      }
      for (int64_t first = 0; first < padded_in; first += piece) {
        const int64_t depth = std::min(piece, padded_in - first);
        float* sums = thread_sums;
        for (int64_t panel = 0; panel < group_panels; ++panel) {
          const int64_t output = (first_panel + panel) * kPanel;
          for (int64_t strip = first_strip; strip < end_strip; ++strip, sums += kStripSums) {
            multiply(packed + (strip * padded_in + first) * kStrip, weight + (panel * padded_in + first) * kPanel, depth,
                     sums, first > 0);
            if (first + depth == padded_in) result.write(sums, strip * kStrip, output);
          }
        }
      }
    }
    _mm_sfence();
  });
}

// Panel `panel` of b [in, out], which stands in rows of inputs.
void make_panel(const bf16* b, int64_t panel, int64_t in, int64_t padded_in, int64_t out, bf16* to) {
  const bf16* from = b + panel * kPanel;
  const int64_t outputs = std::min(kPanel, out - panel * kPanel);
  if (outputs < kPanel || in < padded_in)
    std::memset(static_cast<void*>(to), 0, static_cast<size_t>(padded_in) * kPanel * 2);
  for (int64_t i = 0; i < in; i += 2, from += 2 * out, to += 2 * kPanel) {
    by_lanes(0, outputs, [&](int64_t o, auto... lanes) {
      const vuint even = std::bit_cast<vuint>(load(from + o, lanes...)) >> 16;
      const vuint odd = i + 1 < in ? std::bit_cast<vuint>(load(from + out + o, lanes...)) : vuint{};
      const vuint pairs = even | odd;
      std::memcpy(static_cast<void*>(to + 2 * o), &pairs, sizeof pairs);
    });
  }
}

}  // namespace

void dot_product(const PanelProduct& p, const PanelSource& source, Stream& stream) {
  const auto [rows, in, out] = p.sizes;
  const int64_t padded_in = packed_in(in, Dtype::bf16);
  const bf16* strips = strips_of(rows, padded_in, stream, [&, rows = rows, in = in](int64_t strip, bf16* to) {
    pack_strip(p.x, strip * kStrip, rows, in, padded_in, to);
  });
  multiply_strips(in, strips, source, p.made, Result<bf16>{p.bias, p.y, rows, out, false}, stream);
}

void dot_product(const Product& p, const bf16* a, const bf16* b, const bf16* bias, std::byte* y, Stream& stream) {
  const int64_t padded_in = packed_in(p.inner, Dtype::bf16);
  const bf16* strips = strips_of(p.rows, padded_in, stream, [&](int64_t strip, bf16* to) {
    const auto pack = p.a_transposed ? pack_columns : pack_strip;
    pack(a, strip * kStrip, p.rows, p.inner, padded_in, to);
  });
  const auto panels = [&](int64_t first, int64_t count, std::byte* memory) {
    auto* made = reinterpret_cast<bf16*>(memory);
    if (p.b_transposed) {
      pack_panels(b, p.columns, p.inner, padded_in, first, count, made);
    } else {
      for (int64_t i = 0; i < count; ++i) {
        make_panel(b, first + i, p.inner, padded_in, p.columns, made + i * kPanel * padded_in);
      }
    }
    return memory;
  };
  by_dtype(p.result, [&]<typename T>(Type<T>) {
    const Result<T> result{bias, reinterpret_cast<T*>(y), p.rows, p.columns, p.accumulate};
    multiply_strips(p.inner, strips, panels, true, result, stream);
  });
}

bool has_dots() { return true; }

#else

bool has_dots() { return false; }

void dot_product(const Product&, const bf16*, const bf16*, const bf16*, std::byte*, Stream&) {
  throw Error(kKernelError, "linear: this level has no dot instructions of bf16");
}

void dot_product(const PanelProduct&, const PanelSource&, Stream&) {
  throw Error(kKernelError, "linear: this level has no dot instructions of bf16");
}

#endif

}  // namespace mglmm::cpu
