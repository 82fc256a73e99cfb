#include "kernels/linear_cross_entropy.h"

#include <cstring>
#include <limits>
#include <vector>

#include "cpu/labels.h"
#include "cpu/log_sum_exp.h"
#include "cpu/panels.h"
#include "cpu/parallel.h"
#include "cpu/product.h"
#include "cpu/tensor_pieces.h"

namespace mglmm::cpu {
namespace {

constexpr int64_t kChunkBytes = int64_t{64} << 20;
// The vocabulary passes in blocks: their products find weight and logits in the caches, in whole tiles but for the last
// block. Whole panels of a packed weight.
constexpr int64_t kBlock = 2048;
static_assert(kBlock % kPanel == 0);
// A product of AMX over a number of rows that this divides is up to a quarter faster.
constexpr int64_t kRowStep = 32;

int64_t round_up_rows(int64_t rows) { return (rows + kRowStep - 1) / kRowStep * kRowStep; }

void zero(std::byte* memory, int64_t bytes) {
  if (bytes > 0) std::memset(memory, 0, static_cast<size_t>(bytes));
}
void zero(const TensorRef& tensor) {
  if (tensor) zero(tensor.raw(), tensor.bytes());
}

// `count` rows of `row_bytes`, from the places `rows` says.
void gather(const std::byte* from, const int64_t* rows, int64_t count, int64_t row_bytes, std::byte* to) {
  for (int64_t i = 0; i < count && row_bytes > 0; ++i) {
    std::memcpy(to + i * row_bytes, from + rows[i] * row_bytes, static_cast<size_t>(row_bytes));
  }
}

// A chunk's logits: blocks of the vocabulary one after another, each [rows, width].
struct Logits {
  std::byte* memory;
  int64_t rows, vocab;
  Dtype dtype;

  int64_t blocks() const { return (vocab + kBlock - 1) / kBlock; }
  int64_t width(int64_t block) const { return std::min(kBlock, vocab - block * kBlock); }
  std::byte* of(int64_t block) const { return memory + block * kBlock * rows * size_of(dtype); }
  template <typename T>
  T* row(int64_t block, int64_t row) const {
    return reinterpret_cast<T*>(of(block)) + row * width(block);
  }
};

// The rows of weight [vocab, dim] that make a block.
TensorRef weight_of(const Weight& weight, int64_t block) {
  TensorRef part = weight;
  const int64_t dim = weight.shape[1];
  const int64_t stride = weight.layout == Layout::packed ? packed_in(dim, weight.dtype) : dim;
  part.offset += block * kBlock * stride * size_of(weight.dtype);
  part.shape[0] = std::min(kBlock, weight.shape[0] - block * kBlock);
  return part;
}

// The same in rows; `unpacked` has place for a block.
const std::byte* rows_of(const TensorRef& part, std::byte* unpacked) {
  if (part.layout == Layout::rows) return part.raw();
  by_dtype(part.dtype, [&]<typename T>(Type<T>) {
    const int64_t dim = part.shape[1];
    unpack_panels(reinterpret_cast<const T*>(part.raw()), part.shape[0], dim, packed_in(dim, part.dtype),
                  reinterpret_cast<T*>(unpacked));
  });
  return unpacked;
}

// The losses of the first `count` rows; with `scale`, the logits become the gradients of loss in them, 0 in the rows beyond.
void losses_of(const Labels<LinearCrossEntropy>& labels, const int64_t* places, int64_t count, const Logits& logits,
               const float* scale, float* losses) {
  by_dtype(logits.dtype, [&]<typename T>(Type<T>) {
    const int64_t grain = std::max<int64_t>(1, kElementGrain / logits.vocab);
    parallel_ranges(logits.rows, grain, [&](int64_t begin, int64_t end) {
      std::vector<float> parts(static_cast<size_t>(logits.blocks()));
      for (int64_t row = begin; row < end; ++row) {
        if (row >= count) {
          for (int64_t b = 0; b < logits.blocks(); ++b) {
            zero(reinterpret_cast<std::byte*>(logits.row<T>(b, row)), logits.width(b) * size_of(logits.dtype));
          }
          continue;
        }
        for (int64_t b = 0; b < logits.blocks(); ++b) {
          parts[static_cast<size_t>(b)] = log_sum_exp(logits.row<T>(b, row), logits.width(b));
        }
        const float whole = log_sum_exp(parts.data(), logits.blocks());
        const int64_t label = labels.at(places[row]);
        T& of_label = logits.row<T>(label / kBlock, row)[label % kBlock];
        const float logit = of_label;
        losses[row] = whole - logit;
        if (!scale) continue;
        for (int64_t b = 0; b < logits.blocks(); ++b) {
          scaled_softmax(logits.row<T>(b, row), logits.width(b), whole, *scale, logits.row<T>(b, row));
        }
        of_label = T(label_gradient(logit, whole, *scale));
      }
    });
  });
}

}  // namespace

void run(const LinearCrossEntropy& op, Stream& stream) {
  const int64_t vocab = op.weight.shape[0];
  const int64_t dim = op.weight.shape[1];
  const Dtype dtype = op.hidden.dtype;
  const Labels<LinearCrossEntropy> labels(op);
  const int64_t valid = labels.checked(vocab);
  const bool mean = op.reduction == LossReduction::mean;
  if (op.count) *op.count.data<int32_t>() = static_cast<int32_t>(valid);
  if (valid == 0) {
    if (op.loss) *op.loss.data<float>() = mean ? std::numeric_limits<float>::quiet_NaN() : 0.0F;
    zero(op.dhidden);
    zero(op.dweight);
    return;
  }

  std::vector<int64_t> rows;
  rows.reserve(static_cast<size_t>(valid));
  for (int64_t row = 0; row < labels.rows(); ++row) {
    if (labels.at(row) != kNoLabel) rows.push_back(row);
  }
  const float scale = mean ? 1.0F / static_cast<float>(valid) : 1.0F;
  const bool gradients = op.dhidden || op.dweight;
  const int64_t row_bytes = dim * size_of(dtype);
  const int64_t logit_bytes = vocab * size_of(dtype);
  const int64_t most = std::max<int64_t>(1, kChunkBytes / (logit_bytes * kRowStep)) * kRowStep;
  const int64_t chunks = (valid + most - 1) / most;
  const int64_t chunk_rows = round_up_rows((valid + chunks - 1) / chunks);
  std::byte* hidden = stream.scratch(chunk_rows * row_bytes);
  std::byte* memory = stream.scratch(chunk_rows * logit_bytes);
  float* losses = stream.scratch_of<float>(valid);
  float* dhidden = op.dhidden ? stream.scratch_of<float>(chunk_rows * dim) : nullptr;
  const bool packed = op.weight.layout == Layout::packed;
  std::byte* unpacked = dhidden && packed ? stream.scratch(kBlock * row_bytes) : nullptr;
  zero(op.dhidden);

  for (int64_t first = 0; first < valid; first += chunk_rows) {
    const int64_t count = std::min(chunk_rows, valid - first);
    const int64_t* places = rows.data() + first;
    const Logits logits{memory, round_up_rows(count), vocab, dtype};
    gather(op.hidden.raw(), places, count, row_bytes, hidden);
    zero(hidden + count * row_bytes, (logits.rows - count) * row_bytes);
    for (int64_t b = 0; b < logits.blocks(); ++b) {
      const ScratchScope scope(stream);
      linear_product({logits.rows, dim, logits.width(b)}, dtype, hidden, weight_of(op.weight, b), nullptr, nullptr,
                     logits.of(b), stream);
    }
    losses_of(labels, places, count, logits, gradients ? &scale : nullptr, losses + first);
    for (int64_t b = 0; b < logits.blocks() && dhidden; ++b) {
      Product sum{.rows = logits.rows, .columns = dim, .inner = logits.width(b), .dtype = dtype};
      sum.accumulate = b > 0;
      const ScratchScope scope(stream);
      product(sum, logits.of(b), rows_of(weight_of(op.weight, b), unpacked), nullptr, reinterpret_cast<std::byte*>(dhidden),
              stream);
    }
    if (dhidden) {
      by_dtype(dtype, [&]<typename T>(Type<T>) {
        T* to = op.dhidden.data<T>();
        for (int64_t i = 0; i < count; ++i) {
          by_lanes(0, dim, [=](int64_t at, auto... lanes) {
            store(to + places[i] * dim + at, load(dhidden + i * dim + at, lanes...), lanes...);
          });
        }
      });
    }
    for (int64_t b = 0; b < logits.blocks() && op.dweight; ++b) {
      Product sum{.rows = logits.width(b), .columns = dim, .inner = logits.rows, .dtype = dtype, .result = dtype};
      sum.a_transposed = true;
      sum.accumulate = first > 0;
      const ScratchScope scope(stream);
      product(sum, logits.of(b), hidden, nullptr, op.dweight.raw() + b * kBlock * row_bytes, stream);
    }
  }

  if (!op.loss) return;
  double total = 0;
  for (int64_t i = 0; i < valid; ++i) total += losses[i];
  *op.loss.data<float>() = static_cast<float>(mean ? total / static_cast<double>(valid) : total);
}

void run(const LinearCrossEntropyBackward& op, Stream&) {
  const float dloss = *op.dloss.data<float>();
  if (dloss == 1.0F) return;
  const auto pieces = pieces_of(op.gradients);
  parallel_pieces(static_cast<int64_t>(pieces.size()), [&](int64_t index) {
    const TensorPiece& piece = pieces[static_cast<size_t>(index)];
    by_dtype(op.gradients[piece.tensor].dtype, [&]<typename T>(Type<T>) {
      T* values = op.gradients[piece.tensor].data<T>();
      by_lanes(piece.begin, piece.end,
               [=](int64_t i, auto... lanes) { store(values + i, load(values + i, lanes...) * dloss, lanes...); });
    });
  });
}

}  // namespace mglmm::cpu
