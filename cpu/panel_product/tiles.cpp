#include "cpu/panel_product/tiles.h"

#include <algorithm>
#include <cstring>

#include "cpu/amx.h"
#include "cpu/parallel.h"
#include "cpu/simd.h"
#include "kernels/error.h"
#include "kernels/panels.h"

// A thread takes blocks of rows by groups of panels. The inputs are taken in pieces, so that a piece of the block's rows,
// the f32 sums of the group and a piece of one panel stay in the second cache, and half of that piece of a panel in the
// first: a matrix unit that loads both sides from the second cache waits for it. x goes in once as tiles, in the order they
// are read in; a panel's piece is copied into tiles, and what comes next is fetched while this is multiplied.
namespace mglmm::cpu {

#if defined(__AVX512F__)
namespace {

constexpr int64_t kMostPanels = 6;                  // of a group
constexpr int64_t kMostStrips = 11;                 // of a block
constexpr int64_t kPiece = 512;                     // inputs
constexpr int64_t kManyOutputs = int64_t{1} << 19;  // 1 MiB, half of a usual second cache

constexpr int64_t kStrip = 2 * kTileSide;             // rows
constexpr int64_t kHalf = 2 * kTileSide;              // outputs: what one pass takes of a panel
constexpr int64_t kSquare = kStrip * kHalf;           // sums of one pass: four tiles, rows first
constexpr int64_t kTileSums = kTileSide * kTileSide;  // of one tile
constexpr int64_t kAheadBytes = 192;                  // fetched of either side at every step

// Rows [row, row + 32) of x as tiles [in / 32][2][16][32]; rows from `rows` on are 0.
void pack_strip(const bf16* x, int64_t row, int64_t rows, int64_t in, int64_t padded_in, bf16* strip) {
  for (int64_t r = 0; r < kStrip; ++r) {
    bf16* to = strip + r * kTileDepth;
    const bf16* from = x + (row + r) * in;
    for (int64_t i = 0; i < padded_in; i += kTileDepth, to += 2 * kTileElements) {
      const int64_t filled = row + r < rows ? std::clamp<int64_t>(in - i, 0, kTileDepth) : 0;
      if (filled == kTileDepth) {
        std::memcpy(static_cast<void*>(to), from + i, kTileDepth * sizeof(bf16));
        continue;
      }
      std::memcpy(static_cast<void*>(to), from + i, static_cast<size_t>(filled) * sizeof(bf16));
      std::memset(static_cast<void*>(to + filled), 0, static_cast<size_t>(kTileDepth - filled) * sizeof(bf16));
    }
  }
}

// `depth` inputs of a panel [depth / 2][64][2] as tiles [2 halves][depth / 32][2][16][32].
void pack_piece(const bf16* panel, int64_t depth, bf16* tiles) {
  constexpr int64_t kLine = 32;  // elements: 16 outputs of a pair of inputs
  for (int64_t pair = 0; pair < depth / 2; ++pair) {
    bf16* to = tiles + pair / kTileSide * 2 * kTileElements + pair % kTileSide * kLine;
    for (int64_t line = 0; line < 4; ++line) {
      std::memcpy(static_cast<void*>(to + line / 2 * depth * kHalf + line % 2 * kTileElements),
                  panel + (pair * 4 + line) * kLine, kLine * sizeof(bf16));
    }
  }
}

// Two places that will be read soon.
struct Ahead {
  const char* first;
  const char* second;
};

// 32 rows x 32 outputs in four tiles. The rows' tiles are passed by the first cache, which keeps the panel's.
MGLMM_AMX void multiply(const bf16* strip, const bf16* half, int64_t depth, float* sums, bool accumulate, Ahead ahead) {
  __asm__ volatile("" ::: "memory");
  if (accumulate) {
    _tile_loadd(0, sums, 64);
    _tile_loadd(1, sums + kTileSums, 64);
    _tile_loadd(2, sums + 2 * kTileSums, 64);
    _tile_loadd(3, sums + 3 * kTileSums, 64);
  } else {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
  }
  for (int64_t k = 0; k < depth; k += kTileDepth, strip += 2 * kTileElements, half += 2 * kTileElements) {
    _tile_stream_loadd(4, strip, 64);
    _tile_loadd(6, half, 64);
    _tile_loadd(7, half + kTileElements, 64);
    for (int64_t byte = 0; byte < kAheadBytes; byte += 64) {
      _mm_prefetch(ahead.first + byte, _MM_HINT_T1);
      _mm_prefetch(ahead.second + byte, _MM_HINT_T1);
    }
    ahead.first += kAheadBytes;
    ahead.second += kAheadBytes;
    _tile_dpbf16ps(0, 4, 6);
    _tile_stream_loadd(5, strip + kTileElements, 64);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
  _tile_stored(0, sums, 64);
  _tile_stored(1, sums + kTileSums, 64);
  _tile_stored(2, sums + 2 * kTileSums, 64);
  _tile_stored(3, sums + 3 * kTileSums, 64);
  __asm__ volatile("" ::: "memory");
}

// y[rows][outputs] from a square of sums, with bias and residual, in y's dtype. A large y, in whole lines, goes past the
// caches: a line that is written through them is read first, and drives out what is multiplied.
void write(const float* sums, int64_t rows, int64_t outputs, const bf16* bias, const bf16* residual, bf16* y, int64_t stride,
           bool past_caches) {
  past_caches = past_caches && outputs == kHalf;
  for (int64_t r = 0; r < rows; ++r) {
    const float* row = sums + r / kTileSide * 2 * kTileSums + r % kTileSide * kTileSide;
    const bf16* before = residual ? residual + r * stride : nullptr;
#if defined(__AVX512BF16__)
    if (past_caches) {
      vfloat left = load(row), right = load(row + kTileSums);
      if (bias) {
        left += load(bias);
        right += load(bias + kTileSide);
      }
      if (before) {
        left += load(before);
        right += load(before + kTileSide);
      }
      const auto line = _mm512_cvtne2ps_pbh(std::bit_cast<__m512>(right), std::bit_cast<__m512>(left));
      _mm512_stream_si512(reinterpret_cast<__m512i*>(y + r * stride), std::bit_cast<__m512i>(line));
      continue;
    }
#endif
    by_lanes(0, outputs, [&](int64_t o, auto... lanes) {
      vfloat value = load(row + o / kTileSide * kTileSums, lanes...);
      if (bias) value += load(bias + o, lanes...);
      if (before) value += load(before + o, lanes...);
      store(y + r * stride + o, value, lanes...);
    });
  }
}

// How a product is cut.
struct Cut {
  int64_t rows, in, out, padded_in, panels, strips;
  int64_t groups, blocks, piece;

  Cut(const LinearSizes& s, int threads) : rows(s.rows), in(s.in), out(s.out) {
    padded_in = packed_in(in, Dtype::bf16);
    panels = (out + kPanel - 1) / kPanel;
    strips = (rows + kStrip - 1) / kStrip;
    blocks = (strips + kMostStrips - 1) / kMostStrips;
    groups = std::min(panels, round_up((panels + kMostPanels - 1) / kMostPanels, threads));
    const int64_t pieces = (padded_in + kPiece - 1) / kPiece;
    piece = round_up((padded_in + pieces - 1) / pieces, kTileDepth);
  }
  int64_t first_panel(int64_t group) const { return group * panels / groups; }
  int64_t first_strip(int64_t block) const { return block * strips / blocks; }
  int64_t most_panels() const { return (panels + groups - 1) / groups; }
  int64_t most_strips() const { return (strips + blocks - 1) / blocks; }
};

// A thread's own memory.
struct Workplace {
  float* sums;  // [panels of a group][strips of a block][2][kSquare]
  bf16* tiles;  // of a panel's piece
  std::byte* made;
};

// A block by a group. `next_strip` is the first of the block that comes after it.
void multiply_block(const PanelProduct& p, const Cut& cut, const bf16* x, const bf16* weight, int64_t group, int64_t block,
                    int64_t next_strip, const Workplace& place) {
  const int64_t first_panel = cut.first_panel(group), panels = cut.first_panel(group + 1) - first_panel;
  const int64_t first_strip = cut.first_strip(block), strips = cut.first_strip(block + 1) - first_strip;
  const auto* bias = reinterpret_cast<const bf16*>(p.bias);
  const auto* residual = reinterpret_cast<const bf16*>(p.residual);
  auto* y = reinterpret_cast<bf16*>(p.y);
  const bool past_caches =
      residual != y && cut.rows * cut.out > kManyOutputs && cut.out % kHalf == 0 && reinterpret_cast<uintptr_t>(y) % 64 == 0;
  for (int64_t first = 0; first < cut.padded_in; first += cut.piece) {
    const int64_t depth = std::min(cut.piece, cut.padded_in - first);
    const bool last = first + depth == cut.padded_in;
    for (int64_t panel = 0; panel < panels; ++panel) {
      const bf16* piece = weight + (panel * cut.padded_in + first) * kPanel;
      pack_piece(piece, depth, place.tiles);
      const bf16* next = panel + 1 < panels ? piece + cut.padded_in * kPanel : weight + (last ? 0 : first + depth) * kPanel;
      for (int64_t pass = 0; pass < 2 * strips; ++pass) {
        const int64_t half = pass / strips, strip = pass % strips;
        const bf16* rows = x + ((first_strip + strip) * cut.padded_in + first) * kStrip;
        float* sums = place.sums + ((panel * strips + strip) * 2 + half) * kSquare;
        const int64_t steps = depth / kTileDepth * kAheadBytes;
        const bf16* next_rows = last ? x + (next_strip + strip) * cut.padded_in * kStrip : rows + depth * kStrip;
        const Ahead ahead{reinterpret_cast<const char*>(next_rows) + (panel * 2 + half) * steps,
                          reinterpret_cast<const char*>(next) + pass * steps};
        multiply(rows, place.tiles + half * depth * kHalf, depth, sums, first > 0, ahead);
        if (!last) continue;
        const int64_t row = (first_strip + strip) * kStrip;
        const int64_t output = (first_panel + panel) * kPanel + half * kHalf;
        const int64_t place = row * cut.out + output;
        write(sums, std::min(kStrip, cut.rows - row), std::min(kHalf, cut.out - output), bias ? bias + output : nullptr,
              residual ? residual + place : nullptr, y + place, cut.out, past_caches);
      }
    }
  }
}

}  // namespace

void tile_product(const PanelProduct& p, const PanelSource& source, Stream& stream) {
  const Cut cut(p.sizes, thread_count());
  const auto* x = reinterpret_cast<const bf16*>(p.x);
  bf16* packed = stream.scratch_of<bf16>(cut.strips * kStrip * cut.padded_in);
  parallel_ranges(cut.strips, 1 + kElementGrain / (kStrip * cut.padded_in), [&](int64_t begin, int64_t end) {
    for (int64_t strip = begin; strip < end; ++strip) {
      pack_strip(x, strip * kStrip, cut.rows, cut.in, cut.padded_in, packed + strip * kStrip * cut.padded_in);
    }
  });

  const int64_t sums_count = cut.most_panels() * cut.most_strips() * 2 * kSquare;
  const int64_t tiles_count = cut.piece * kPanel;
  const int64_t made_bytes = p.made ? cut.most_panels() * kPanel * cut.padded_in * size_of(Dtype::bf16) : 0;
  float* sums = stream.scratch_of<float>(sums_count * thread_count());
  bf16* tiles = stream.scratch_of<bf16>(tiles_count * thread_count());
  std::byte* made = stream.scratch(made_bytes * thread_count());
  parallel_ranges(cut.groups * cut.blocks, 1, [&](int64_t begin, int64_t end) {
    const TileUse use;
    const int thread = thread_index();
    const Workplace place{sums + thread * sums_count, tiles + thread * tiles_count, made + thread * made_bytes};
    const bf16* weight = nullptr;
    for (int64_t task = begin; task < end; ++task) {
      const int64_t group = task / cut.blocks, block = task % cut.blocks;
      if (task == begin || block == 0) {
        const int64_t first_panel = cut.first_panel(group);
        weight = reinterpret_cast<const bf16*>(source(first_panel, cut.first_panel(group + 1) - first_panel, place.made));
      }
      multiply_block(p, cut, packed, weight, group, block, cut.first_strip((block + 1) % cut.blocks), place);
    }
    _mm_sfence();  // what went past the caches is there for other threads
  });
}

bool has_tiles() { return amx_present(); }

#else

bool has_tiles() { return false; }

void tile_product(const PanelProduct&, const PanelSource&, Stream&) {
  throw Error(kKernelError, "linear: this level has no matrix unit");
}

#endif

}  // namespace mglmm::cpu
