#include "cpu/panel_product/vectors.h"

#include <algorithm>
#include <cstring>
#include <type_traits>

#include "cpu/panel_product/result.h"
#include "cpu/panels.h"
#include "cpu/parallel.h"
#include "cpu/simd.h"
#include "kernels/error.h"
#include "kernels/panels.h"

// A thread takes blocks of rows by groups of panels. A strip of 6 rows by a panel of 64 outputs has its sums in 24 vectors
// that wait for no other; x goes in once as strips, in the order they are read in. The inputs are taken in pieces, so that
// a piece of the block's strips and one of a panel stay in the second cache, and what comes next is fetched into it while
// these are multiplied. What is multiplied are words of 32 bits: an f32, or a pair of bf16.
namespace mglmm::cpu {

#if defined(__AVX512F__)
namespace {

constexpr int64_t kMostPanels = 4;   // of a group
constexpr int64_t kMostStrips = 33;  // of a block
constexpr int64_t kPiece = 256;      // words

constexpr int kVectors = static_cast<int>(kPanel) / kLanes;  // of a panel's outputs

// How six vectors of a row's words each become six of all rows' words in turn.
struct Interleave {
  alignas(64) int32_t word[kStrip][kLanes] = {};  // of a lane
  uint16_t of_row[kStrip][kStrip] = {};           // [vector][row]: the lanes that are the row's

  constexpr Interleave() {
    for (int64_t vector = 0; vector < kStrip; ++vector) {
      for (int64_t lane = 0; lane < kLanes; ++lane) {
        const int64_t place = vector * kLanes + lane;
        word[vector][lane] = static_cast<int32_t>(place / kStrip);
        of_row[vector][place % kStrip] |= static_cast<uint16_t>(1U << lane);
      }
    }
  }
};

// A left side [rows, in].
template <typename T>
struct Left {
  const T* x;  // or [in, rows], with `transposed`
  int64_t rows, in;
  bool transposed;

  static constexpr Dtype kDtype = std::is_same_v<T, float> ? Dtype::f32 : Dtype::bf16;
  int64_t words() const { return packed_in(in, kDtype) / kWordElements<T>; }
};

// Rows [row, row + 6) as [words][6], of which the words from `word` on are written; rows and inputs beyond the ends are 0.
template <typename T>
void pack_words(const Left<T>& left, int64_t row, int64_t word, uint32_t* strip) {
  const int64_t filled = std::min(kStrip, left.rows - row);
  const auto [row_step, step] = left.transposed ? std::pair(int64_t{1}, left.rows) : std::pair(left.in, int64_t{1});
  const T* from = left.x + row * row_step;
  for (; word < left.words(); ++word) {
    T elements[kStrip][kWordElements<T>] = {};
    for (int64_t e = 0; e < kWordElements<T>; ++e) {
      const int64_t i = word * kWordElements<T> + e;
      if (i >= left.in) break;
      if (filled == kStrip) {
        for (int64_t r = 0; r < kStrip; ++r) elements[r][e] = from[r * row_step + i * step];
      } else {
        for (int64_t r = 0; r < filled; ++r) elements[r][e] = from[r * row_step + i * step];
      }
    }
    std::memcpy(strip + word * kStrip, elements, sizeof elements);
  }
}

template <typename T>
void pack_strip(const Left<T>& left, int64_t row, uint32_t* strip) {
  static constexpr Interleave kInterleave;
  int64_t word = 0;
  if (!left.transposed && row + kStrip <= left.rows) {
    const T* from = left.x + row * left.in;
    for (; (word + kLanes) * kWordElements<T> <= left.in; word += kLanes) {
      __m512i words[kStrip];
      for (int64_t r = 0; r < kStrip; ++r) words[r] = _mm512_loadu_si512(from + r * left.in + word * kWordElements<T>);
      for (int64_t vector = 0; vector < kStrip; ++vector) {
        const __m512i places = _mm512_load_si512(kInterleave.word[vector]);
        __m512i mixed = words[0];
        for (int64_t r = 0; r < kStrip; ++r) {
          mixed = _mm512_mask_permutexvar_epi32(mixed, kInterleave.of_row[vector][r], places, words[r]);
        }
        _mm512_storeu_si512(strip + word * kStrip + vector * kLanes, mixed);
      }
    }
  }
  pack_words(left, row, word, strip);
}

// sum + the products of words of T.
template <typename T>
__m512 multiply_add(__m512 sum, __m512i left, __m512i right) {
#if defined(__AVX512BF16__)
  if constexpr (std::is_same_v<T, bf16>) {
    return _mm512_dpbf16_ps(sum, std::bit_cast<__m512bh>(right), std::bit_cast<__m512bh>(left));
  }
#endif
  return _mm512_fmadd_ps(_mm512_castsi512_ps(left), _mm512_castsi512_ps(right), sum);
}

// Two places that will be read soon, and how many bytes of each are fetched at every step.
struct Ahead {
  const char* first;
  const char* second;
  int64_t first_step, second_step;
};

// sums [6][64] = or += `words` of a strip by those of a panel.
template <typename T>
void multiply(const uint32_t* strip, const uint32_t* panel, int64_t words, float* sums, bool accumulate, Ahead ahead) {
  __m512 totals[kStrip][kVectors];
#pragma GCC unroll 6
  for (int64_t r = 0; r < kStrip; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      totals[r][v] = accumulate ? _mm512_loadu_ps(sums + r * kPanel + v * kLanes) : _mm512_setzero_ps();
    }
  }
  for (int64_t i = 0; i < words; ++i, strip += kStrip, panel += kPanel) {
    _mm_prefetch(ahead.first, _MM_HINT_T1);
    _mm_prefetch(ahead.second, _MM_HINT_T1);
    ahead.first += ahead.first_step;
    ahead.second += ahead.second_step;
    __m512i weights[kVectors];
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) weights[v] = _mm512_loadu_si512(panel + v * kLanes);
#pragma GCC unroll 6
    for (int64_t r = 0; r < kStrip; ++r) {
      const __m512i input = _mm512_set1_epi32(static_cast<int32_t>(strip[r]));
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) totals[r][v] = multiply_add<T>(totals[r][v], input, weights[v]);
    }
  }
#pragma GCC unroll 6
  for (int64_t r = 0; r < kStrip; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) _mm512_storeu_ps(sums + r * kPanel + v * kLanes, totals[r][v]);
  }
}

// `is_made`: the source needs memory.
template <typename T, typename Y>
void multiply_strips(const Left<T>& left, const PanelSource& source, bool is_made, const Result<Y, T>& result,
                     Stream& stream) {
  const int64_t words = left.words();
  const int64_t strips = (result.rows + kStrip - 1) / kStrip;
  auto* packed = stream.scratch_of<uint32_t>(strips * kStrip * words);
  parallel_ranges(strips, 1 + kElementGrain / (kStrip * words), [&](int64_t begin, int64_t end) {
    for (int64_t strip = begin; strip < end; ++strip) pack_strip(left, strip * kStrip, packed + strip * kStrip * words);
  });

  const int64_t panels = (result.out + kPanel - 1) / kPanel;
  const int64_t blocks = (strips + kMostStrips - 1) / kMostStrips;
  const int64_t groups = std::min(panels, round_up((panels + kMostPanels - 1) / kMostPanels, thread_count()));
  const int64_t pieces = (words + kPiece - 1) / kPiece;
  const int64_t piece = (words + pieces - 1) / pieces;
  const int64_t most_panels = (panels + groups - 1) / groups;
  const int64_t most_strips = (strips + blocks - 1) / blocks;
  const int64_t sums_count = most_panels * most_strips * kStripSums;
  const int64_t made_bytes = is_made ? most_panels * kPanel * words * 4 : 0;
  float* all_sums = stream.scratch_of<float>(sums_count * thread_count());
  std::byte* made = stream.scratch(made_bytes * thread_count());
  const auto step_of = [](int64_t bytes, int64_t steps) { return std::min<int64_t>(64, (bytes + steps - 1) / steps); };
  parallel_ranges(groups * blocks, 1, [&](int64_t begin, int64_t end) {
    float* thread_sums = all_sums + thread_index() * sums_count;
    const uint32_t* weight = nullptr;
    for (int64_t task = begin; task < end; ++task) {
      const int64_t group = task / blocks, block = task % blocks;
      const int64_t first_panel = group * panels / groups, group_panels = (group + 1) * panels / groups - first_panel;
      const int64_t first_strip = block * strips / blocks, end_strip = (block + 1) * strips / blocks;
      if (task == begin || block == 0) {
        weight = reinterpret_cast<const uint32_t*>(source(first_panel, group_panels, made + thread_index() * made_bytes));
      }
      for (int64_t first = 0; first < words; first += piece) {
        const int64_t count = std::min(piece, words - first);
        const bool last = first + count == words;
        const int64_t next = last ? 0 : first + count;  // word
        const int64_t next_strip = !last ? first_strip : block + 1 < blocks ? end_strip : 0;
        const int64_t strip_step = step_of(kStrip * 4, group_panels),
                      panel_step = step_of(kPanel * 4, end_strip - first_strip);
        float* sums = thread_sums;
        for (int64_t panel = 0; panel < group_panels; ++panel) {
          const int64_t output = (first_panel + panel) * kPanel;
          const uint32_t* next_panel =
              panel + 1 < group_panels ? weight + ((panel + 1) * words + first) * kPanel : weight + next * kPanel;
          for (int64_t i = 0; i < end_strip - first_strip; ++i, sums += kStripSums) {
            const int64_t strip = first_strip + i;
            const uint32_t* next_rows = packed + ((next_strip + i) * words + next) * kStrip;
            const Ahead ahead{reinterpret_cast<const char*>(next_rows) + panel * count * strip_step,
                              reinterpret_cast<const char*>(next_panel) + i * count * panel_step, strip_step, panel_step};
            multiply<T>(packed + (strip * words + first) * kStrip, weight + (panel * words + first) * kPanel, count, sums,
                        first > 0, ahead);
            if (last) result.write(sums, strip * kStrip, output);
          }
        }
      }
    }
    fence_past_caches();  // what went past the caches is there for other threads
  });
}

// Panel `panel` of b [in, out], which stands in rows of inputs, as [words][64].
template <typename T>
void make_panel(const T* b, int64_t panel, int64_t in, int64_t words, int64_t out, uint32_t* to) {
  const T* from = b + panel * kPanel;
  const int64_t outputs = std::min(kPanel, out - panel * kPanel);
  if (outputs < kPanel || in < words * kWordElements<T>) std::memset(to, 0, static_cast<size_t>(words * kPanel) * 4);
  for (int64_t i = 0; i < in; i += kWordElements<T>, from += kWordElements<T> * out, to += kPanel) {
    by_lanes(0, outputs, [&](int64_t o, auto... lanes) {
      auto word = std::bit_cast<vuint>(load(from + o, lanes...));
      if constexpr (std::is_same_v<T, bf16>) {
        word >>= 16;
        if (i + 1 < in) word |= std::bit_cast<vuint>(load(from + out + o, lanes...));
      }
      std::memcpy(to + o, &word, sizeof word);
    });
  }
}

// Calls `body(Type<T>())` with a type that this level multiplies.
template <typename Body>
void by_element(Dtype dtype, Body&& body) {
#if defined(__AVX512BF16__)
  if (dtype == Dtype::bf16) return body(Type<bf16>());
#endif
  (void)dtype;
  body(Type<float>());
}

}  // namespace

void vector_product(const PanelProduct& p, const PanelSource& source, Stream& stream) {
  by_element(p.dtype, [&]<typename T>(Type<T>) {
    const auto [rows, in, out] = p.sizes;
    const Left<T> left{reinterpret_cast<const T*>(p.x), rows, in, false};
    const Result<T, T> result{reinterpret_cast<const T*>(p.bias), reinterpret_cast<const T*>(p.residual),
                              reinterpret_cast<T*>(p.y), rows, out};
    multiply_strips(left, source, p.made, result, stream);
  });
}

void vector_product(const Product& p, const std::byte* a, const std::byte* b, const std::byte* bias, std::byte* y,
                    Stream& stream) {
  by_element(p.dtype, [&]<typename T>(Type<T>) {
    const Left<T> left{reinterpret_cast<const T*>(a), p.rows, p.inner, p.a_transposed};
    const auto panels = [&](int64_t first, int64_t count, std::byte* memory) {
      const auto* from = reinterpret_cast<const T*>(b);
      const int64_t words = left.words();
      if (p.b_transposed) {
        pack_panels(from, p.columns, p.inner, words * kWordElements<T>, first, count, reinterpret_cast<T*>(memory));
      } else {
        auto* made = reinterpret_cast<uint32_t*>(memory);
        for (int64_t i = 0; i < count; ++i) {
          make_panel(from, first + i, p.inner, words, p.columns, made + i * kPanel * words);
        }
      }
      return memory;
    };
    const auto* shift = reinterpret_cast<const T*>(bias);
    const auto multiply_into = [&]<typename Y>(Y* to) {
      const Result<Y, T> result{shift, p.accumulate ? to : nullptr, to, p.rows, p.columns};
      multiply_strips(left, panels, true, result, stream);
    };
    if (p.result == Dtype::f32)
      multiply_into(reinterpret_cast<float*>(y));
    else
      multiply_into(reinterpret_cast<T*>(y));
  });
}

bool has_vector_product(Dtype dtype) {
#if defined(__AVX512BF16__)
  return dtype == Dtype::bf16 || dtype == Dtype::f32;
#else
  return dtype == Dtype::f32;
#endif
}

#else

bool has_vector_product(Dtype) { return false; }

void vector_product(const Product&, const std::byte*, const std::byte*, const std::byte*, std::byte*, Stream&) {
  throw Error(kKernelError, "linear: this level has no vectors of 512 bits");
}

void vector_product(const PanelProduct&, const PanelSource&, Stream&) {
  throw Error(kKernelError, "linear: this level has no vectors of 512 bits");
}

#endif

}  // namespace mglmm::cpu
