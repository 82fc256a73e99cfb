#include "cpu/panel_product.h"

#include <algorithm>
#include <cstring>

#include "cpu/amx.h"
#include "cpu/parallel.h"
#include "cpu/simd.h"
#include "kernels/error.h"
#include "kernels/panels.h"

// A thread takes a block of rows and a group of panels. x goes in once into strips of the rows that a kernel takes at a
// time, so that it is read in order; the inputs are taken in pieces, so that a piece of the block's strips, of a panel, and
// the f32 sums of the group stay in the second cache.
namespace mglmm::cpu {

#if defined(__AVX512F__)
namespace {

constexpr int64_t kMostPanels = 6;  // of a group
constexpr int64_t kMostRows = 704;  // of a block

constexpr int64_t kStrip = 2 * kTileSide;  // rows
constexpr int64_t kPiece = 256;            // inputs

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

// 32 rows x 64 outputs: twice 32 x 32 in four tiles.
MGLMM_AMX void multiply(const bf16* strip, const bf16* panel, int64_t depth, float* sums, bool accumulate) {
  constexpr int64_t kSumBytes = kPanel * sizeof(float);
  constexpr int64_t kPairBytes = kPanel * 2 * sizeof(bf16);
  __asm__ volatile("" ::: "memory");
  for (int64_t column = 0; column < kPanel; column += 2 * kTileSide) {
    float* to = sums + column;
    float* below = to + kTileSide * kPanel;
    if (accumulate) {
      _tile_loadd(0, to, kSumBytes);
      _tile_loadd(1, to + kTileSide, kSumBytes);
      _tile_loadd(2, below, kSumBytes);
      _tile_loadd(3, below + kTileSide, kSumBytes);
    } else {
      _tile_zero(0);
      _tile_zero(1);
      _tile_zero(2);
      _tile_zero(3);
    }
    const bf16* a = strip;
    const bf16* b = panel + column * 2;
    for (int64_t k = 0; k < depth; k += kTileDepth, a += 2 * kTileElements, b += kTileDepth * kPanel) {
      _tile_loadd(4, a, 64);
      _tile_loadd(6, b, kPairBytes);
      _tile_loadd(7, b + 2 * kTileSide, kPairBytes);
      _tile_dpbf16ps(0, 4, 6);
      _tile_loadd(5, a + kTileElements, 64);
      _tile_dpbf16ps(1, 4, 7);
      _tile_dpbf16ps(2, 5, 6);
      _tile_dpbf16ps(3, 5, 7);
    }
    _tile_stored(0, to, kSumBytes);
    _tile_stored(1, to + kTileSide, kSumBytes);
    _tile_stored(2, below, kSumBytes);
    _tile_stored(3, below + kTileSide, kSumBytes);
  }
  __asm__ volatile("" ::: "memory");
}

// y[rows][outputs] from sums[rows][64], with bias, in y's dtype.
void write(const float* sums, int64_t rows, int64_t outputs, const bf16* bias, bf16* y, int64_t stride) {
  for (int64_t r = 0; r < rows; ++r) {
    by_lanes(0, outputs, [&](int64_t o, auto... lanes) {
      vfloat value = load(sums + r * kPanel + o, lanes...);
      if (bias) value += load(bias + o, lanes...);
      store(y + r * stride + o, value, lanes...);
    });
  }
}

}  // namespace

void panel_product(const PanelProduct& p, const PanelSource& source, Stream& stream) {
  const int64_t rows = p.sizes.rows, in = p.sizes.in, out = p.sizes.out;
  const int64_t padded_in = packed_in(in, Dtype::bf16);
  const int64_t panels = (out + kPanel - 1) / kPanel;
  const int64_t strips = (rows + kStrip - 1) / kStrip;
  bf16* packed = stream.scratch_of<bf16>(strips * kStrip * padded_in);
  parallel_ranges(strips, 1 + kElementGrain / (kStrip * padded_in), [&](int64_t begin, int64_t end) {
    for (int64_t strip = begin; strip < end; ++strip) {
      pack_strip(p.x, strip * kStrip, rows, in, padded_in, packed + strip * kStrip * padded_in);
    }
  });

  const int64_t most_strips = kMostRows / kStrip;
  const int64_t blocks = (strips + most_strips - 1) / most_strips;
  const int64_t block_strips = (strips + blocks - 1) / blocks;
  const int64_t pieces = (padded_in + kPiece - 1) / kPiece;
  const int64_t piece = round_up((padded_in + pieces - 1) / pieces, 32);
  const int64_t sums_a_panel = block_strips * kStrip * kPanel;
  const int64_t groups = std::min(panels, round_up((panels + kMostPanels - 1) / kMostPanels, thread_count()));
  const int64_t group_panels = (panels + groups - 1) / groups;
  float* all_sums = stream.scratch_of<float>(group_panels * sums_a_panel * thread_count());
  const int64_t made_bytes = p.made ? group_panels * kPanel * padded_in * size_of(Dtype::bf16) : 0;
  std::byte* all_made = stream.scratch(made_bytes * thread_count());

  parallel_pieces(groups * blocks, [&](int64_t task) {
    const TileUse use;
    float* sums = all_sums + thread_index() * group_panels * sums_a_panel;
    const int64_t first_panel = task / blocks * panels / groups;
    const int64_t group = (task / blocks + 1) * panels / groups - first_panel;
    const int64_t first_strip = task % blocks * block_strips;
    const int64_t last_strip = std::min(first_strip + block_strips, strips);
    if (first_strip >= last_strip) return;
    const auto* weight = reinterpret_cast<const bf16*>(source(first_panel, group, all_made + thread_index() * made_bytes));
    for (int64_t first = 0; first < padded_in; first += piece) {
      const int64_t depth = std::min(piece, padded_in - first);
      for (int64_t panel = 0; panel < group; ++panel) {
        const bf16* right = weight + (panel * padded_in + first) * kPanel;
        for (int64_t strip = first_strip; strip < last_strip; ++strip) {
          multiply(packed + (strip * padded_in + first) * kStrip, right, depth,
                   sums + panel * sums_a_panel + (strip - first_strip) * kStrip * kPanel, first > 0);
        }
      }
    }
    const int64_t row = first_strip * kStrip;
    const int64_t block_rows = std::min(last_strip * kStrip, rows) - row;
    for (int64_t panel = 0; panel < group; ++panel) {
      const int64_t output = (first_panel + panel) * kPanel;
      write(sums + panel * sums_a_panel, block_rows, std::min(kPanel, out - output), p.bias ? p.bias + output : nullptr,
            p.y + row * out + output, out);
    }
  });
}

bool has_panel_product() { return amx_present(); }

#else

bool has_panel_product() { return false; }

void panel_product(const PanelProduct&, const PanelSource&, Stream&) {
  throw Error(kKernelError, "linear: this level has no matrix unit");
}

#endif

}  // namespace mglmm::cpu
