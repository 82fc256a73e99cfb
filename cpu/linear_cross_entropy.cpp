#include "kernels/linear_cross_entropy.h"

#include <cstring>
#include <limits>
#include <vector>

#include "cpu/labels.h"
#include "cpu/log_sum_exp.h"
#include "cpu/parallel.h"
#include "cpu/product.h"
#include "cpu/tensor_pieces.h"

namespace mglmm::cpu {
namespace {

constexpr int64_t kChunkBytes = int64_t{64} << 20;
// A product of AMX over a number of rows that this divides is up to a quarter faster.
constexpr int64_t kRowStep = 32;

int64_t round_up_rows(int64_t rows) { return (rows + kRowStep - 1) / kRowStep * kRowStep; }

void zero(std::byte* memory, int64_t bytes) {
  if (bytes > 0) std::memset(memory, 0, static_cast<size_t>(bytes));
}
void zero(const TensorRef& tensor) {
  if (tensor) zero(tensor.raw(), tensor.bytes());
}

// `count` rows of `row_bytes`: gathered from, or scattered to, the places `rows` says.
void gather(const std::byte* from, const int64_t* rows, int64_t count, int64_t row_bytes, std::byte* to) {
  for (int64_t i = 0; i < count && row_bytes > 0; ++i) {
    std::memcpy(to + i * row_bytes, from + rows[i] * row_bytes, static_cast<size_t>(row_bytes));
  }
}
void scatter(const std::byte* from, const int64_t* rows, int64_t count, int64_t row_bytes, std::byte* to) {
  for (int64_t i = 0; i < count && row_bytes > 0; ++i) {
    std::memcpy(to + rows[i] * row_bytes, from + i * row_bytes, static_cast<size_t>(row_bytes));
  }
}

// The losses of a chunk's rows; with `scale`, its logits become the gradients of loss in them.
void losses_of(const LinearCrossEntropy& op, const Labels<LinearCrossEntropy>& labels, const int64_t* rows, int64_t count,
               std::byte* logits, const float* scale, float* losses) {
  const int64_t vocab = op.weight.shape[0];
  by_dtype(op.hidden.dtype, [&]<typename T>(Type<T>) {
    T* chunk = reinterpret_cast<T*>(logits);
    parallel_ranges(count, std::max<int64_t>(1, kElementGrain / vocab), [=, &labels](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        T* row = chunk + i * vocab;
        const int64_t label = labels.at(rows[i]);
        const float whole = log_sum_exp(row, vocab);
        losses[i] = whole - static_cast<float>(row[label]);
        if (scale) cross_entropy_gradient(row, vocab, label, whole, *scale, row);
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
  std::byte* dhidden = op.dhidden ? stream.scratch(chunk_rows * row_bytes) : nullptr;
  std::byte* logits = stream.scratch(chunk_rows * logit_bytes);
  float* losses = stream.scratch_of<float>(valid);
  zero(op.dhidden);

  for (int64_t first = 0; first < valid; first += chunk_rows) {
    const int64_t count = std::min(chunk_rows, valid - first);
    const int64_t* places = rows.data() + first;
    const LinearSizes sizes{round_up_rows(count), dim, vocab};
    gather(op.hidden.raw(), places, count, row_bytes, hidden);
    zero(hidden + count * row_bytes, (sizes.rows - count) * row_bytes);
    linear_product(sizes, dtype, hidden, op.weight, nullptr, logits, stream);
    losses_of(op, labels, places, count, logits, gradients ? &scale : nullptr, losses + first);
    zero(logits + count * logit_bytes, (sizes.rows - count) * logit_bytes);
    if (op.dhidden) {
      linear_input_gradient(sizes, dtype, logits, op.weight, dhidden, stream);
      scatter(dhidden, places, count, row_bytes, op.dhidden.raw());
    }
    if (op.dweight && first == 0) {
      linear_weight_gradient(sizes, dtype, logits, hidden, op.dweight.raw(), stream);
    } else if (op.dweight) {
      product({.rows = vocab,
               .columns = dim,
               .inner = sizes.rows,
               .dtype = dtype,
               .result = dtype,
               .a_transposed = true,
               .accumulate = true},
              logits, hidden, nullptr, op.dweight.raw(), stream);
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
