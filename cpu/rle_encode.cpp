// Rows are packed to bits as they are read, 64 rows at a time; blocks of 64 x 64 bits are transposed, so that a word holds
// 64 pixels of a column, and the ends of runs are the bits where a word differs from itself shifted by one pixel.
#include "kernels/rle_encode.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "cpu/bits.h"
#include "cpu/parallel.h"
#include "kernels/pack_bits.h"
#include "kernels/stream.h"

namespace mglmm::cpu {
namespace {

struct Size {
  int64_t height, width;
  int64_t row_words() const { return (width + 63) / 64; }
  int64_t column_words() const { return (height + 63) / 64; }
};

// 64 rows (or the `rows` that are left) as bits: words[64 * word + row].
void pack_rows(const RleEncode& op, const uint8_t* first, int64_t rows, Size size, uint64_t* words) {
  for (int64_t row = 0; row < rows; ++row) {
    const uint8_t* pixels = first + row * op.masks.shape[2];
    for (int64_t word = 0; word < size.row_words(); ++word) {
      uint64_t& bits = words[64 * word + row];
      const int64_t left = std::min<int64_t>(64, size.width - 64 * word);
      if (op.bitWidth > 0)
        std::memcpy(&bits, pixels + 8 * word, 8);
      else
        bits = left == 64 ? bits_above(pixels + 64 * word, 0) : bits_above(pixels + 64 * word, 0, left);
    }
  }
  for (int64_t word = 0; word < size.row_words(); ++word) std::fill(words + 64 * word + rows, words + 64 * (word + 1), 0);
}

// The mask column by column, columns[column * column_words + word]; room for whole blocks of 64 columns. Blocks that have no
// pixel are not written: used[block] says so.
void transpose(const RleEncode& op, const uint8_t* mask, Size size, uint64_t* rows, uint64_t* columns, uint64_t* used) {
  std::fill(used, used + size.row_words(), 0);
  for (int64_t block = 0; block < size.column_words(); ++block) {
    pack_rows(op, mask + 64 * block * op.masks.shape[2], std::min<int64_t>(64, size.height - 64 * block), size, rows);
    for (int64_t word = 0; word < size.row_words(); ++word) {
      uint64_t* tile = rows + 64 * word;
      uint64_t any = 0;
      for (int64_t i = 0; i < 64; ++i) any |= tile[i];
      if (any == 0) continue;
      uint64_t* to = columns + 64 * word * size.column_words();
      if (used[word] == 0) std::fill(to, to + 64 * size.column_words(), 0);
      used[word] = 1;
      transpose_bits(tile);
      for (int64_t i = 0; i < 64; ++i) to[i * size.column_words() + block] = tile[i];
    }
  }
}

// Appends the runs that end within the columns; positions count down the columns from the first pixel.
struct Runs {
  int32_t* to;
  int64_t room;
  int64_t count = 0;
  int64_t begin = 0;  // of the run that is open
  void end_at(int64_t position) {
    if (count < room) to[count] = static_cast<int32_t>(position - begin);
    ++count;
    begin = position;
  }
};

void scan(const uint64_t* columns, const uint64_t* used, Size size, Runs& runs) {
  uint64_t last = 0;  // the pixel before, in bit 0
  for (int64_t column = 0; column < size.width; ++column) {
    const int64_t origin = column * size.height;
    if (used[column / 64] == 0) {
      if (last != 0) runs.end_at(origin);
      last = 0;
      column += 63;
      continue;
    }
    for (int64_t word = 0; word < size.column_words(); ++word) {
      const uint64_t bits = columns[column * size.column_words() + word];
      const int64_t rows = std::min<int64_t>(64, size.height - 64 * word);
      uint64_t changes = bits ^ (bits << 1 | last);
      if (rows < 64) changes &= (uint64_t{1} << rows) - 1;
      for (; changes != 0; changes &= changes - 1) runs.end_at(origin + 64 * word + std::countr_zero(changes));
      last = bits >> (rows - 1) & 1;
    }
  }
}

}  // namespace

void run(const RleEncode& op, Stream& stream) {
  const int64_t masks = op.masks.shape[0];
  if (masks == 0) return;
  Size size{op.masks.shape[1], op.bitWidth > 0 ? op.bitWidth : op.masks.shape[2]};
  if (size.height == 0 || size.width == 0) size = {0, 0};
  const int64_t row_words = 64 * size.row_words();
  const int64_t column_words = 64 * size.row_words() * size.column_words();
  const int64_t words = row_words + column_words + size.row_words();
  auto* scratch = stream.scratch_of<uint64_t>(words * thread_count());
  parallel_pieces(masks, [&](int64_t i) {
    uint64_t* rows = scratch + words * thread_index();
    uint64_t* columns = rows + row_words;
    uint64_t* used = columns + column_words;
    Runs runs{op.runs ? op.runs.data<int32_t>() + i * op.maxRuns : nullptr, op.runs ? op.maxRuns : 0};
    if (size.height > 0) {
      transpose(op, op.masks.data<uint8_t>() + i * size.height * op.masks.shape[2], size, rows, columns, used);
      scan(columns, used, size, runs);
    }
    runs.end_at(size.height * size.width);
    if (runs.count < runs.room) std::fill(runs.to + runs.count, runs.to + runs.room, 0);
    if (op.counts) op.counts.data<int32_t>()[i] = static_cast<int32_t>(runs.count);
  });
}

}  // namespace mglmm::cpu
