// Attention in bf16 where the processor multiplies bf16, with a matrix unit or without: per tile of queries, over tiles of
// keys, s = k q^T, softmax in f32, y^T += v^T p with p rounded to bf16. k, v and the tables of relative position are put
// into tiles once a head.
#include <cmath>

#include "cpu/attention/attend.h"
#include "cpu/attention/bf16_tiles.h"
#include "cpu/attention/tile.h"
#include "cpu/parallel.h"
#include "kernels/attention_cached.h"

namespace mglmm::cpu {

#if defined(__AVX512F__)
namespace {

constexpr int64_t kTileQueries = 64;
constexpr int64_t kTileKeys = 256;
static_assert(kPageUnit % kTileDepth == 0);

int64_t blocks(int64_t size, int64_t block) { return (size + block - 1) / block; }
int64_t round_up(int64_t size, int64_t block) { return blocks(size, block) * block; }

struct Tables {  // of relative position, in tiles
  const bf16* tiles = nullptr;
  int64_t blocks_h = 0, blocks_w = 0;  // of 16 rows
};

struct Head {
  Rows rows;
  int64_t depth;      // tiles of 32 along headDim
  const bf16 *k, *v;  // tiles [key / 16][depth] of k, [key / 32][headDim / 16] of v^T
  const uint8_t* key_mask;
  Tables tables;
};

struct TileMemory {
  bf16 *q, *p;
  float *s, *y, *inverse, *scores, *bias_h, *bias_w;
};

// Rows of keys (or of a table) into tiles [row / 16][depth]. `at(row)` is where one lies, null: it is 0.
template <typename At>
void pack_rows(const At& at, int64_t count, int64_t head_dim, bf16* to) {
  for (int64_t first = 0; first < count; first += kTileSide) {
    const bf16* rows[kTileSide];
    const int64_t filled = std::min(kTileSide, count - first);
    for (int64_t i = 0; i < filled; ++i) rows[i] = at(first + i);
    for (int64_t d = 0; d < head_dim; d += kTileDepth, to += kTileElements) {
      vfloat block[kTileSide];
      read_rows(rows, filled, d, head_dim - d, block);
      for (int64_t i = 0; i < kTileSide; ++i)
        std::memcpy(static_cast<void*>(to + i * kTileDepth), &block[i], sizeof(vfloat));
    }
  }
}

// v^T in tiles [key / 32][headDim / 16]: pairs of keys side by side, then transposed. `at` is as for `pack_rows`.
template <typename At>
void pack_values(const At& at, int64_t count, int64_t head_dim, bf16* to) {
  for (int64_t first = 0; first < count; first += kTileDepth) {
    const bf16* rows[kTileDepth] = {};
    for (int64_t i = 0; i < std::min(kTileDepth, count - first); ++i) rows[i] = at(first + i);
    for (int64_t d = 0; d < head_dim; d += kTileSide, to += kTileElements) {
      const auto places = static_cast<__mmask16>(head_dim - d >= kTileSide ? 0xffffU : (1U << (head_dim - d)) - 1);
      const auto widened = [&](const bf16* row) {
        if (row == nullptr) return vuint{};
        const __m256i half = _mm256_maskz_loadu_epi16(places, row + d);
        return std::bit_cast<vuint>(_mm512_maskz_cvtepu16_epi32(kAllLanes, half));
      };
      vfloat block[kLanes];
      for (int64_t pair = 0; pair < kLanes; ++pair) {
        block[pair] = std::bit_cast<vfloat>(widened(rows[2 * pair]) | (widened(rows[2 * pair + 1]) << 16));
      }
      transpose(block);
      for (int64_t i = 0; i < kLanes; ++i) std::memcpy(static_cast<void*>(to + i * kTileDepth), &block[i], sizeof(vfloat));
    }
  }
}

// q^T in tiles [query / 16][depth].
void pack_queries(const AttentionProblem& problem, const Rows& rows, int64_t first, int64_t count, bf16* to) {
  for (int64_t lane = 0; lane < count; lane += kLanes) {
    const bf16* from[kLanes];
    const int64_t filled = std::min<int64_t>(kLanes, count - lane);
    for (int64_t i = 0; i < filled; ++i) from[i] = rows.at<const bf16>(problem.q, first + lane + i);
    pack_columns(from, filled, problem.head_dim, to);
    to += blocks(problem.head_dim, kTileDepth) * kTileElements;
  }
}

// Tiles [key / 32][query / 16] of 2^(s * factor - shift), rounded to nearest; its sum, unrounded, joins the total.
template <int kVectors>
void exponentiate_to_tiles(const float* s, int64_t rows, float factor, const vfloat* shift,
                           RunningSoftmax<kVectors>& softmax, bf16* tiles) {
  constexpr int64_t kStride = kVectors * kLanes;
  vfloat total[kVectors], minus[kVectors];
  for (int n = 0; n < kVectors; ++n) total[n] = softmax.total[n], minus[n] = shift[n];
  for (int64_t j = 0; j < rows; j += 2, s += 2 * kStride) {
    bf16* to = tiles + j / kTileDepth * kVectors * kTileElements + j % kTileDepth * kTileSide;
    for (int n = 0; n < kVectors; ++n, to += kTileElements) {
      const vfloat even = exp2(load(s + n * kLanes) * factor - minus[n]);
      const vfloat odd = exp2(load(s + kStride + n * kLanes) * factor - minus[n]);
      total[n] += even + odd;
      const vuint low = (std::bit_cast<vuint>(even) + 0x8000) >> 16;
      const vuint high = (std::bit_cast<vuint>(odd) + 0x8000) & 0xffff0000;
      const vuint both = low | high;
      std::memcpy(static_cast<void*>(to), &both, sizeof both);
    }
  }
  for (int n = 0; n < kVectors; ++n) softmax.total[n] = total[n];
}

template <typename Unit, int kVectors>
void make_bias(const AttentionProblem& problem, const Head& head, int64_t first, int64_t count, const TileMemory& memory,
               TileLogits<kVectors>& logits) {
  constexpr int64_t kStride = kVectors * kLanes;
  int32_t at_h[kStride], at_w[kStride];
  for (int64_t lane = 0; lane < kStride; ++lane) {
    const int64_t token = head.rows.token(first + std::min(lane, count - 1));
    at_h[lane] = static_cast<int32_t>(token / problem.width + problem.height - 1);
    at_w[lane] = static_cast<int32_t>(head.tables.blocks_h * kTileSide + token % problem.width + problem.width - 1);
  }
  Unit::template multiply<kVectors, false>(head.tables.tiles, (head.tables.blocks_h + head.tables.blocks_w) * kTileSide,
                                           memory.q, {head.depth, 1, 1, head.depth},
                                           round_up(problem.head_dim, Unit::kDepth), memory.scores, kStride);
  shear<kVectors>(memory.scores, at_h, problem.height, memory.bias_h);
  shear<kVectors>(memory.scores, at_w, problem.width, memory.bias_w);
  logits.bias_h = memory.bias_h;
  logits.bias_w = memory.bias_w;
  logits.width = problem.width;
}

template <typename Unit, int kVectors>
void attend_tile(const AttentionProblem& problem, const Head& head, int64_t first, int64_t count, const TileMemory& memory) {
  constexpr int64_t kStride = kVectors * kLanes;
  const int64_t value_blocks = blocks(problem.head_dim, kTileSide);
  pack_queries(problem, head.rows, first, count, memory.q);
  TileLogits<kVectors> logits;
  logits.factor = problem.scale * kLog2E;
  logits.key_mask = head.key_mask;
  int64_t keys_end = 0;
  set_limits<kVectors>(problem, head.rows, first, count, logits, keys_end);
  if (head.tables.tiles) make_bias<Unit, kVectors>(problem, head, first, count, memory, logits);

  RunningSoftmax<kVectors> softmax;
  float factor = logits.factor;
  std::fill_n(memory.y, value_blocks * kTileSide * kStride, 0.0F);
  for (int64_t key = 0; key < keys_end; key += kTileKeys) {
    const int64_t keys = std::min(kTileKeys, keys_end - key), filled = round_up(keys, Unit::kDepth);
    Unit::template multiply<kVectors, false>(head.k + key / kTileSide * head.depth * kTileElements, filled, memory.q,
                                             {head.depth, 1, 1, head.depth}, round_up(problem.head_dim, Unit::kDepth),
                                             memory.s, kStride);
    vfloat shift[kVectors];
    take_tile<kVectors>(memory.s, key, keys, logits, softmax, factor, shift);
    std::fill(memory.s + keys * kStride, memory.s + filled * kStride, -kInfinity);
    exponentiate_to_tiles<kVectors>(memory.s, filled, factor, shift, softmax, memory.p);
    if (softmax.corrected) {
      for (int64_t row = 0; row < value_blocks * kTileSide; ++row) {
        for (int n = 0; n < kVectors; ++n) {
          float* y = memory.y + row * kStride + n * kLanes;
          store(y, load(y) * softmax.correction[n]);
        }
      }
    }
    Unit::template multiply<kVectors, true>(head.v + key / kTileDepth * value_blocks * kTileElements, problem.head_dim,
                                            memory.p, {1, value_blocks, kVectors, 1}, filled, memory.y, kStride);
  }
  finish_rows<kVectors>(problem, head.rows, first, count, softmax, factor, memory.inverse);
  write_columns<bf16>(problem.y, head.rows, first, count, problem.head_dim, memory.y, kStride, memory.inverse);
}

Tables pack_tables(const AttentionProblem& problem, int64_t depth, Stream& stream) {
  Tables tables;
  if (problem.height == 0) return tables;
  // Both tables fill whole pairs of tiles.
  tables.blocks_h = blocks(2 * problem.height - 1, kTileSide);
  tables.blocks_w = blocks(2 * problem.width - 1, kTileSide);
  bf16* tiles = stream.scratch_of<bf16>((tables.blocks_h + tables.blocks_w) * depth * kTileElements);
  const auto rows_in = [&](const ConstTensor& table) {
    return [from = table.data<bf16>(), stride = problem.head_dim](int64_t row) { return from + row * stride; };
  };
  pack_rows(rows_in(problem.rel_pos_h), 2 * problem.height - 1, problem.head_dim, tiles);
  pack_rows(rows_in(problem.rel_pos_w), 2 * problem.width - 1, problem.head_dim,
            tiles + tables.blocks_h * depth * kTileElements);
  tables.tiles = tiles;
  return tables;
}

template <typename Unit>
void attend_by(const AttentionProblem& problem, Stream& stream) {
  const int64_t heads = problem.batch * problem.kv_heads, head_dim = problem.head_dim;
  const int64_t depth = blocks(head_dim, kTileDepth), value_blocks = blocks(head_dim, kTileSide);
  const Tables tables = pack_tables(problem, depth, stream);
  int64_t most_keys = 0;
  for (int64_t b = 0; b < problem.batch; ++b) most_keys = std::max(most_keys, problem.keys_of(b));
  const int64_t key_blocks = blocks(most_keys, kTileDepth), score_rows = (tables.blocks_h + tables.blocks_w) * kTileSide;
  const int64_t halves[] = {2 * key_blocks * depth * kTileElements, key_blocks * value_blocks * kTileElements,
                            kTileQueries / kTileSide * depth * kTileElements, kTileQueries * kTileKeys};
  const int64_t floats[] = {
      kTileQueries * kTileKeys,  kTileQueries * value_blocks * kTileSide, kTileQueries,
      kTileQueries * score_rows, kTileQueries * problem.height,           kTileQueries * problem.width};
  int64_t slice = few_scratch_bytes(problem);
  for (const int64_t count : halves) slice += Slice::bytes<bf16>(count);
  for (const int64_t count : floats) slice += Slice::bytes<float>(count);
  std::byte* scratch = stream.scratch(slice * thread_count());

  const int64_t tiles = blocks(problem.queries * problem.group(), kTileQueries);
  const int64_t parts = std::min(tiles, blocks(4 * thread_count(), heads));
  pieces_of_attention(heads * most_keys * head_dim * tiles, heads * parts, [&](int64_t piece) {
    const int64_t part = piece % parts, b = piece / parts / problem.kv_heads, kv_head = piece / parts % problem.kv_heads;
    Head head{rows_of(problem, b, kv_head), depth, nullptr, nullptr, nullptr, tables};
    std::byte* own = scratch + slice * thread_index();
    if (head.rows.count <= kFewRows && !tables.tiles && !problem.key_mask) {
      if (part == 0 && head.rows.count > 0) attend_few(problem, b, kv_head, own);
      return;
    }
    const int64_t row_tiles = blocks(head.rows.count, kTileQueries);
    const int64_t begin = row_tiles * part / parts, end = row_tiles * (part + 1) / parts;
    if (begin == end) return;
    Slice memory(own);
    bf16* k = memory.take<bf16>(halves[0]);
    bf16* v = memory.take<bf16>(halves[1]);
    TileMemory tile;
    tile.q = memory.take<bf16>(halves[2]);
    tile.p = memory.take<bf16>(halves[3]);
    tile.s = memory.take<float>(floats[0]);
    tile.y = memory.take<float>(floats[1]);
    tile.inverse = memory.take<float>(floats[2]);
    tile.scores = memory.take<float>(floats[3]);
    tile.bias_h = memory.take<float>(floats[4]);
    tile.bias_w = memory.take<float>(floats[5]);
    const int64_t keys = problem.keys_of(b);
    head.key_mask = problem.key_mask ? problem.key_mask + b * problem.keys : nullptr;
    const auto seen_of = [&](const Heads& heads) {
      return [&](int64_t key) {
        const bool hidden = head.key_mask && head.key_mask[key] == 0;
        return hidden ? nullptr : head.rows.key_at<bf16>(problem, heads, key);
      };
    };
    pack_rows(seen_of(problem.k), keys, head_dim, k);
    pack_values(seen_of(problem.v), keys, head_dim, v);
    if (blocks(keys, kTileSide) % 2 == 1) {  // the last pair of tiles
      std::fill_n(k + blocks(keys, kTileSide) * depth * kTileElements, depth * kTileElements, bf16(0.0F));
    }
    head.k = k;
    head.v = v;
    [[maybe_unused]] const typename Unit::Use use;
    for (int64_t first = begin * kTileQueries; first < std::min(head.rows.count, end * kTileQueries);
         first += kTileQueries) {
      const int64_t count = std::min(kTileQueries, head.rows.count - first);
      switch (blocks(count, kTileSide)) {
        case 1: attend_tile<Unit, 1>(problem, head, first, count, tile); break;
        case 2: attend_tile<Unit, 2>(problem, head, first, count, tile); break;
        case 3: attend_tile<Unit, 3>(problem, head, first, count, tile); break;
        default: attend_tile<Unit, 4>(problem, head, first, count, tile); break;
      }
    }
  });
}

}  // namespace

bool attend_bf16(const AttentionProblem& problem, Stream& stream) {
  if (problem.q.dtype != Dtype::bf16) return false;
  if (amx_present()) {
    attend_by<MatrixUnit>(problem, stream);
    return true;
  }
#if defined(__AVX512BF16__)
  attend_by<DotProducts>(problem, stream);
  return true;
#else
  return false;
#endif
}

#else

bool attend_bf16(const AttentionProblem&, Stream&) { return false; }

#endif

}  // namespace mglmm::cpu
