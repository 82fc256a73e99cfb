// Rows pass in chunks, those without a label too: which have one only the device knows. Their gradients are 0.
#include "kernels/linear_cross_entropy.h"

#include <algorithm>

#include "cuda/labels.cuh"
#include "cuda/product.h"
#include "cuda/tensor_pieces.cuh"

namespace mglmm::cuda {
namespace {

constexpr int64_t kChunkBytes = int64_t{64} << 20;

// A row of logits to its loss and, unless `valid` is null, to the gradient of the loss in it.
template <typename T>
__global__ void __launch_bounds__(512)
    loss_kernel(RowTeams teams, Labels labels, int64_t first, T* logits, float* losses, const int32_t* valid, bool mean) {
  if (teams.row() >= teams.rows) return;
  const int64_t row = first + teams.row();
  const int64_t label = labels.at(row);
  T* own = logits + teams.row() * teams.size;
  float whole = 0;
  if (label == kNoLabel) {
    if (teams.rank() == 0) losses[row] = 0;
  } else {
    whole = exp_sum(teams, own).log();
    if (teams.rank() == 0) losses[row] = whole - to_float(own[label]);
  }
  if (valid == nullptr) return;
  teams.meet();  // the label's logit has been read
  loss_gradient(teams, own, label, whole, mean ? 1.0F / static_cast<float>(*valid) : 1.0F, own);
}

__global__ void __launch_bounds__(kPieceThreads)
    scale_kernel(const TensorPiece* pieces, const Numbers* tensors, const float* factor) {
  if (*factor == 1.0F) return;
  const TensorPiece piece = pieces[blockIdx.x];
  const Numbers numbers = tensors[piece.tensor];
  for (int64_t i = piece.begin + threadIdx.x; i < piece.end; i += kPieceThreads) numbers.set(i, numbers.at(i) * *factor);
}

}  // namespace

void run(const LinearCrossEntropy& op, CudaStream& stream) {
  const int64_t vocab = op.weight.shape[0];
  const int64_t dim = op.weight.shape[1];
  const Dtype dtype = op.hidden.dtype;
  const bool mean = op.reduction == LossReduction::mean;
  const Labels labels(op, vocab);
  doubt_labels<LinearCrossEntropy>(stream, labels);
  int32_t* valid = op.count ? op.count.data<int32_t>() : stream.scratch_of<int32_t>(1);
  add_labels(stream, labels, nullptr, mean, nullptr, valid);
  const int64_t chunk = std::max<int64_t>(1, kChunkBytes / std::max<int64_t>(1, vocab * size_of(dtype)));
  std::byte* logits = stream.scratch(std::min(chunk, labels.rows) * vocab * size_of(dtype));
  float* losses = stream.scratch_of<float>(labels.rows);
  if (op.dweight) stream.clear(op.dweight.raw(), op.dweight.bytes());
  for (int64_t first = 0; first < labels.rows; first += chunk) {
    const LinearSizes s{std::min(chunk, labels.rows - first), dim, vocab};
    const std::byte* hidden = op.hidden.raw() + first * dim * size_of(dtype);
    product(stream, {.rows = s.rows, .columns = vocab, .inner = dim, .b_transposed = true, .dtype = dtype, .result = dtype},
            hidden, op.weight.raw(), nullptr, logits);
    by_dtype(dtype, [&]<typename T>(Type<T>) {
      const RowTeams teams(s.rows, vocab, kPacket<T>);
      launch(stream, loss_kernel<T>, teams.grid(), teams, labels, first, reinterpret_cast<T*>(logits), losses,
             op.dhidden || op.dweight ? valid : nullptr, mean);
    });
    if (op.dhidden) {
      linear_input_gradient(stream, s, dtype, logits, op.weight.raw(), op.dhidden.raw() + first * dim * size_of(dtype));
    }
    if (op.dweight) {
      product(stream,
              {.rows = vocab,
               .columns = dim,
               .inner = s.rows,
               .a_transposed = true,
               .dtype = dtype,
               .result = dtype,
               .addend = first > 0 ? op.dweight.raw() : nullptr},
              logits, hidden, nullptr, op.dweight.raw());
    }
  }
  if (op.loss) add_labels(stream, labels, losses, mean, op.loss.data<float>(), nullptr);
}

void run(const LinearCrossEntropyBackward& op, CudaStream& stream) {
  const auto pieces = pieces_of(op.gradients);
  if (pieces.empty()) return;
  launch(stream, scale_kernel, {.blocks = static_cast<int64_t>(pieces.size()), .threads = kPieceThreads},
         stream.table(pieces), stream.table(numbers_of(op.gradients)), op.dloss.data<float>());
}

}  // namespace mglmm::cuda
