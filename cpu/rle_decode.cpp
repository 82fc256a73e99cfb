// Runs are set as bits of a column-major image, of which blocks of 64 x 64 are transposed and widened to bytes.
#include "kernels/rle_decode.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "cpu/bits.h"
#include "cpu/parallel.h"
#include "kernels/error.h"
#include "kernels/pack_bits.h"
#include "kernels/stream.h"

namespace mglmm::cpu {
namespace {

[[noreturn]] void refuse(const std::string& message) { throw Error(kArgumentError, "rleDecode: " + message); }

// Where each mask's runs begin, once all runs are known to be whole numbers that cover the image.
std::vector<int64_t> checked_starts(const RleDecode& op) {
  const int64_t pixels = op.height * op.width;
  const auto* runs = op.runs.data<int32_t>();
  const auto* counts = op.counts.data<int32_t>();
  std::vector<int64_t> starts{0};
  for (int64_t i = 0; i < op.counts.count(); ++i) {
    const std::string mask = "[" + std::to_string(i) + "]";
    const int64_t begin = starts.back();
    if (counts[i] < 0) refuse("counts" + mask + " is " + std::to_string(counts[i]) + ", expected 0 or more");
    if (counts[i] > op.runs.count() - begin) {
      refuse("counts" + mask + " is " + std::to_string(counts[i]) + ", expected at most " +
             std::to_string(op.runs.count() - begin) + ", the runs that are left");
    }
    int64_t sum = 0;
    for (int64_t k = begin; k < begin + counts[i]; ++k) {
      if (runs[k] < 0) refuse("runs[" + std::to_string(k) + "] is " + std::to_string(runs[k]) + ", expected 0 or more");
      sum += runs[k];
    }
    if (sum != pixels) {
      refuse("runs of mask " + std::to_string(i) + " cover " + std::to_string(sum) + " pixels, expected " +
             std::to_string(pixels) + ", height * width");
    }
    starts.push_back(begin + counts[i]);
  }
  if (starts.back() != op.runs.count()) {
    refuse("counts add up to " + std::to_string(starts.back()) + ", expected " + std::to_string(op.runs.count()) +
           ", the size of runs");
  }
  return starts;
}

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

// columns[column * column_words + word] from the runs of one mask.
void fill_columns(const int32_t* runs, int64_t count, int64_t height, int64_t column_words, uint64_t* columns) {
  int64_t position = 0;
  for (int64_t k = 0; k < count; ++k) {
    const int64_t end = position + runs[k];
    if (k % 2 == 1) {
      int64_t column = position / height;
      int64_t row = position - column * height;
      for (int64_t left = runs[k]; left > 0; ++column, row = 0) {
        const int64_t rows = std::min(left, height - row);
        set_bits(columns + column * column_words, row, row + rows);
        left -= rows;
      }
    }
    position = end;
  }
}

}  // namespace

void run(const RleDecode& op, Stream& stream) {
  const std::vector<int64_t> starts = checked_starts(op);
  if (op.masks.count() == 0) return;
  const int64_t row_words = (op.width + 63) / 64;
  const int64_t column_words = (op.height + 63) / 64;
  const int64_t words = 64 * row_words * column_words;
  const int64_t row_bytes = op.masks.shape[2];
  auto* scratch = stream.scratch_of<uint64_t>((words + 64 * row_words) * thread_count());
  const auto* runs = op.runs.data<int32_t>();
  parallel_pieces(op.counts.count(), [&](int64_t i) {
    uint64_t* columns = scratch + (words + 64 * row_words) * thread_index();
    uint64_t* rows = columns + words;  // 64 rows, rows[64 * word + row]
    std::memset(columns, 0, static_cast<size_t>(words) * sizeof(uint64_t));
    const auto mask = static_cast<size_t>(i);
    fill_columns(runs + starts[mask], starts[mask + 1] - starts[mask], op.height, column_words, columns);
    for (int64_t block = 0; block < column_words; ++block) {
      for (int64_t word = 0; word < row_words; ++word) {
        uint64_t* tile = rows + 64 * word;
        uint64_t any = 0;
        for (int64_t k = 0; k < 64; ++k) any |= tile[k] = columns[(64 * word + k) * column_words + block];
        if (any != 0) transpose_bits(tile);
      }
      for (int64_t row = 0; row < std::min<int64_t>(64, op.height - 64 * block); ++row) {
        uint8_t* to = op.masks.data<uint8_t>() + (i * op.height + 64 * block + row) * row_bytes;
        for (int64_t word = 0; word < row_words; ++word) {
          const uint64_t bits = rows[64 * word + row];
          if (op.bits) {
            std::memcpy(to + 8 * word, &bits, 8);
          } else if (64 * word + 64 <= op.width) {
            bytes_of(bits, to + 64 * word);
          } else {
            uint8_t bytes[64];
            bytes_of(bits, bytes);
            std::memcpy(to + 64 * word, bytes, static_cast<size_t>(op.width - 64 * word));
          }
        }
      }
    }
  });
}

}  // namespace mglmm::cpu
