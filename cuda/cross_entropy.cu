// A warp or a block a row of logits; the rows' losses are then added up by one block.
#include "kernels/cross_entropy.h"

#include "cuda/labels.cuh"

namespace mglmm::cuda {
namespace {

template <typename T>
__global__ void __launch_bounds__(512)
    loss_kernel(RowTeams teams, Labels labels, const T* logits, float* losses, float* logsumexp) {
  const int64_t row = teams.row();
  if (row >= teams.rows) return;
  const int64_t label = labels.at(row);
  const T* own = logits + row * teams.size;
  const float whole = label == kNoLabel ? 0.0F : exp_sum(teams, own).log();
  if (teams.rank() != 0) return;
  losses[row] = label == kNoLabel ? 0.0F : whole - to_float(own[label]);
  if (logsumexp != nullptr) logsumexp[row] = whole;
}

template <typename T>
__global__ void __launch_bounds__(512)
    backward_kernel(RowTeams teams, Labels labels, const T* logits, const float* logsumexp, const float* dloss,
                    const int32_t* count, bool mean, T* dlogits) {
  const int64_t row = teams.row();
  if (row >= teams.rows) return;
  const float scale = mean ? *dloss / static_cast<float>(*count) : *dloss;
  const int64_t first = row * teams.size;
  loss_gradient(teams, logits + first, labels.at(row), logsumexp[row], scale, dlogits + first);
}

}  // namespace

void run(const CrossEntropy& op, CudaStream& stream) {
  const Labels labels(op, op.logits.shape[-1]);
  doubt_labels<CrossEntropy>(stream, labels);
  float* losses = stream.scratch_of<float>(labels.rows);
  by_dtype(op.logits.dtype, [&]<typename T>(Type<T>) {
    const RowTeams teams(labels.rows, labels.vocab, kPacket<T>);
    launch(stream, loss_kernel<T>, teams.grid(), teams, labels, op.logits.data<T>(), losses,
           op.logsumexp ? op.logsumexp.data<float>() : nullptr);
  });
  add_labels(stream, labels, losses, op.reduction == LossReduction::mean, op.loss ? op.loss.data<float>() : nullptr,
             op.count ? op.count.data<int32_t>() : nullptr);
}

void run(const CrossEntropyBackward& op, CudaStream& stream) {
  const Labels labels(op, op.logits.shape[-1]);
  doubt_labels<CrossEntropyBackward>(stream, labels);
  if (!op.dlogits) return;
  by_dtype(op.logits.dtype, [&]<typename T>(Type<T>) {
    const RowTeams teams(labels.rows, labels.vocab, kPacket<T>);
    launch(stream, backward_kernel<T>, teams.grid(), teams, labels, op.logits.data<T>(), op.logsumexp.data<float>(),
           op.dloss.data<float>(), op.count.data<int32_t>(), op.reduction == LossReduction::mean, op.dlogits.data<T>());
  });
}

}  // namespace mglmm::cuda
