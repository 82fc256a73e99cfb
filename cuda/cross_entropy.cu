// A block a row of logits; the rows' losses are then added up by one block.
#include "kernels/cross_entropy.h"

#include "cuda/labels.cuh"
#include "cuda/row.cuh"

namespace mglmm::cuda {
namespace {

template <typename T>
__global__ void __launch_bounds__(512) loss_kernel(Labels labels, const T* logits, float* losses, float* logsumexp) {
  const int64_t row = blockIdx.x;
  const int64_t label = labels.at(row);
  if (label == kNoLabel) {
    if (threadIdx.x == 0) {
      losses[row] = 0;
      if (logsumexp != nullptr) logsumexp[row] = 0;
    }
    return;
  }
  const T* own = logits + row * labels.vocab;
  const float whole = log_sum_exp(own, labels.vocab);
  if (threadIdx.x != 0) return;
  losses[row] = whole - to_float(own[label]);
  if (logsumexp != nullptr) logsumexp[row] = whole;
}

template <typename T>
__global__ void __launch_bounds__(512) backward_kernel(Labels labels, const T* logits, const float* logsumexp,
                                                       const float* dloss, const int32_t* count, bool mean, T* dlogits) {
  const int64_t row = blockIdx.x;
  const int64_t label = labels.at(row);
  const T* own = logits + row * labels.vocab;
  T* gradient = dlogits + row * labels.vocab;
  if (label == kNoLabel) {
    each_packet<1>(labels.vocab, [&](int64_t i) { put(gradient[i], 0.0F); });
    return;
  }
  const float scale = mean ? *dloss / static_cast<float>(*count) : *dloss;
  const float whole = logsumexp[row];
  each_packet<1>(labels.vocab, [&](int64_t i) {
    const float probability = expf(to_float(own[i]) - whole);
    put(gradient[i], (i == label ? probability - 1.0F : probability) * scale);
  });
}

}  // namespace

void run(const CrossEntropy& op, CudaStream& stream) {
  const Labels labels(op, op.logits.shape[-1]);
  doubt_labels<CrossEntropy>(stream, labels);
  float* losses = stream.scratch_of<float>(labels.rows);
  by_dtype(op.logits.dtype, [&]<typename T>(Type<T>) {
    launch(stream, loss_kernel<T>, {.blocks = labels.rows, .threads = threads_for_row(labels.vocab)}, labels,
           op.logits.data<T>(), losses, op.logsumexp ? op.logsumexp.data<float>() : nullptr);
  });
  add_labels(stream, labels, losses, op.reduction == LossReduction::mean, op.loss ? op.loss.data<float>() : nullptr,
             op.count ? op.count.data<int32_t>() : nullptr);
}

void run(const CrossEntropyBackward& op, CudaStream& stream) {
  const Labels labels(op, op.logits.shape[-1]);
  doubt_labels<CrossEntropyBackward>(stream, labels);
  if (!op.dlogits) return;
  by_dtype(op.logits.dtype, [&]<typename T>(Type<T>) {
    launch(stream, backward_kernel<T>, {.blocks = labels.rows, .threads = threads_for_row(labels.vocab)}, labels,
           op.logits.data<T>(), op.logsumexp.data<float>(), op.dloss.data<float>(), op.count.data<int32_t>(),
           op.reduction == LossReduction::mean, op.dlogits.data<T>());
  });
}

}  // namespace mglmm::cuda
