// Runs are set as bits of a column-major image, of which blocks of 64 x 64 are transposed and widened to bytes.
#include "kernels/rle_decode.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "cpu/bits.h"
#include "cpu/parallel.h"
#include "kernels/run_starts.h"
#include "kernels/stream.h"

namespace mglmm::cpu {
namespace {

// Sets bits [begin, end) of `words`.
void set_bits(uint64_t* words, int64_t begin, int64_t end) {
  const uint64_t first = ~uint64_t{0} << (begin % 64);
  const uint64_t last = ~uint64_t{0} >> (63 - (end - 1) % 64);
  const int64_t from = begin / 64;
  const int64_t to = (end - 1) / 64;
  if (from == to) {
    words[from] |= first & last;
    return;
  }
  words[from] |= first;
  for (int64_t word = from + 1; word < to; ++word) words[word] = ~uint64_t{0};
  words[to] |= last;
}

// columns[column * column_words + word] from the runs of one mask. Blocks of 64 columns without a pixel are not written:
// used[block] says so.
void fill_columns(const int32_t* runs, int64_t count, int64_t height, int64_t column_words, uint64_t* columns,
                  uint64_t* used) {
  int64_t position = 0;
  for (int64_t k = 0; k < count; ++k) {
    const int64_t end = position + runs[k];
    if (k % 2 == 1) {
      int64_t column = position / height;
      int64_t row = position - column * height;
      for (int64_t left = runs[k]; left > 0; ++column, row = 0) {
        const int64_t rows = std::min(left, height - row);
        if (used[column / 64] == 0) {
          uint64_t* block = columns + column / 64 * 64 * column_words;
          std::fill(block, block + 64 * column_words, 0);
          used[column / 64] = 1;
        }
        set_bits(columns + column * column_words, row, row + rows);
        left -= rows;
      }
    }
    position = end;
  }
}

// Copies past the caches where the processor can: what is written here is far more than they hold.
void copy_through(uint8_t* to, const uint8_t* from, int64_t bytes) {
#if defined(__x86_64__)
  const int64_t head = std::min<int64_t>(bytes, -reinterpret_cast<intptr_t>(to) & 15);
  std::memcpy(to, from, static_cast<size_t>(head));
  int64_t i = head;
  for (; i + 16 <= bytes; i += 16) {
    _mm_stream_si128(reinterpret_cast<__m128i*>(to + i), _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + i)));
  }
  std::memcpy(to + i, from + i, static_cast<size_t>(bytes - i));
#else
  std::memcpy(to, from, static_cast<size_t>(bytes));
#endif
}

// One row of pixels, or of bits, from its words, which are 64 apart.
void write_row(const uint64_t* words, const RleDecode& op, uint8_t* to) {
  for (int64_t first = 0; first < op.width; first += 64) {
    const uint64_t bits = words[first];
    if (op.bits) {
      std::memcpy(to + first / 8, &bits, 8);
    } else if (first + 64 <= op.width) {
      bytes_of(bits, to + first);
    } else {
      uint8_t bytes[64];
      bytes_of(bits, bytes);
      std::memcpy(to + first, bytes, static_cast<size_t>(op.width - first));
    }
  }
}

}  // namespace

void run(const RleDecode& op, Stream& stream) {
  const std::vector<int64_t> starts = run_starts(op, op.runs.data<int32_t>(), op.counts.data<int32_t>());
  if (op.masks.count() == 0) return;
  const int64_t row_words = (op.width + 63) / 64;
  const int64_t column_words = (op.height + 63) / 64;
  const int64_t row_bytes = op.masks.shape[2];
  // A thread's: the columns, 64 rows as rows[64 * word + row], which blocks are used, 64 rows as they go to the mask.
  const int64_t column_size = 64 * row_words * column_words;
  const int64_t words = column_size + 64 * row_words + row_words + 8 * row_bytes;
  auto* scratch = stream.scratch_of<uint64_t>(words * thread_count());
  const auto* runs = op.runs.data<int32_t>();
  parallel_pieces(op.counts.count(), [&](int64_t i) {
    uint64_t* columns = scratch + words * thread_index();
    uint64_t* rows = columns + column_size;
    uint64_t* used = rows + 64 * row_words;
    auto* lines = reinterpret_cast<uint8_t*>(used + row_words);
    std::memset(rows, 0, static_cast<size_t>(65 * row_words) * sizeof(uint64_t));
    const auto mask = static_cast<size_t>(i);
    fill_columns(runs + starts[mask], starts[mask + 1] - starts[mask], op.height, column_words, columns, used);
    for (int64_t block = 0; block < column_words; ++block) {
      for (int64_t word = 0; word < row_words; ++word) {
        if (used[word] == 0) continue;
        uint64_t* tile = rows + 64 * word;
        uint64_t any = 0;
        for (int64_t k = 0; k < 64; ++k) any |= tile[k] = columns[(64 * word + k) * column_words + block];
        if (any != 0) transpose_bits(tile);
      }
      const int64_t height = std::min<int64_t>(64, op.height - 64 * block);
      for (int64_t row = 0; row < height; ++row) write_row(rows + row, op, lines + row * row_bytes);
      copy_through(op.masks.data<uint8_t>() + (i * op.height + 64 * block) * row_bytes, lines, height * row_bytes);
    }
#if defined(__x86_64__)
    _mm_sfence();
#endif
  });
}

}  // namespace mglmm::cpu
