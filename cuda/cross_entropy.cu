// A block a row of logits; the rows' losses are then added up by one block.
#include "kernels/cross_entropy.h"

#include <string>

#include "cuda/row.cuh"

namespace mglmm::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int64_t kNoLabel = -1;

// The labels of a language model's loss, and the row whose label counts for a row.
struct Labels {
  const int32_t* labels;
  int64_t rows, seq, ignored, vocab;  // seq is 0 without a shift

  template <typename Op>
  explicit Labels(const Op& op)
      : labels(op.labels.template data<int32_t>()),
        rows(op.labels.count()),
        seq(op.shift ? op.labels.shape[-1] : 0),
        ignored(op.ignoreIndex),
        vocab(op.logits.shape[-1]) {}

  __device__ int64_t place(int64_t row) const { return seq > 0 ? row + 1 : row; }
  __device__ bool has_none(int64_t row) const { return (seq > 0 && row % seq == seq - 1) || labels[place(row)] == ignored; }
  __device__ bool fits(int64_t row) const { return labels[place(row)] >= 0 && labels[place(row)] < vocab; }
  // One that does not fit, which is refused, counts as none.
  __device__ int64_t at(int64_t row) const { return has_none(row) || !fits(row) ? kNoLabel : labels[place(row)]; }
};

__global__ void __launch_bounds__(kThreads) check_labels_kernel(Labels labels, Refusal* refused) {
  const int64_t row = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (row >= labels.rows || labels.has_none(row) || labels.fits(row)) return;
  const int64_t place = labels.place(row);
  atomicMin(refused, static_cast<Refusal>(place) << 32 | static_cast<uint32_t>(labels.labels[place]));
}

template <typename Op>
void doubt_labels(CudaStream& stream, const Labels& labels) {
  if (labels.rows == 0) return;
  Refusal* refused = stream.question();
  launch(stream, check_labels_kernel, {.blocks = blocks_for(labels.rows, kThreads), .threads = kThreads}, labels, refused);
  stream.doubt(refused, [vocab = labels.vocab, ignored = labels.ignored](int64_t place, int32_t value) {
    return Error(kArgumentError, std::string(Op::name) + ": labels[" + std::to_string(place) + "] is " +
                                     std::to_string(value) + ", expected from 0 to below " + std::to_string(vocab) +
                                     ", or " + std::to_string(ignored) + " to be ignored");
  });
}

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
  float largest = Larger::kNone;
  each_packet<1>(labels.vocab, [&](int64_t i) { largest = Larger::of(largest, to_float(own[i])); });
  largest = block_max(largest);
  const float base = largest == Larger::kNone ? 0.0F : largest;
  float total = 0;
  each_packet<1>(labels.vocab, [&](int64_t i) { total += expf(to_float(own[i]) - base); });
  total = block_sum(total);
  if (threadIdx.x != 0) return;
  const float whole = base + logf(total);
  losses[row] = whole - to_float(own[label]);
  if (logsumexp != nullptr) logsumexp[row] = whole;
}

struct Totals {
  double losses[kThreads];
  int64_t valid[kThreads];
};

__global__ void __launch_bounds__(kThreads)
    add_losses_kernel(Labels labels, const float* losses, bool mean, float* loss, int32_t* count) {
  auto& totals = shared<Totals>();
  double own = 0;
  int64_t own_valid = 0;
  for (int64_t row = threadIdx.x; row < labels.rows; row += kThreads) {
    own += losses[row];
    own_valid += labels.at(row) == kNoLabel ? 0 : 1;
  }
  totals.losses[threadIdx.x] = own;
  totals.valid[threadIdx.x] = own_valid;
  __syncthreads();
  if (threadIdx.x != 0) return;
  double total = 0;
  int64_t valid = 0;
  for (int i = 0; i < kThreads; ++i) {
    total += totals.losses[i];
    valid += totals.valid[i];
  }
  if (count != nullptr) *count = static_cast<int32_t>(valid);
  if (loss != nullptr) *loss = static_cast<float>(mean ? total / static_cast<double>(valid) : total);  // 0 / 0 is NaN
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
  const Labels labels(op);
  doubt_labels<CrossEntropy>(stream, labels);
  float* losses = stream.scratch_of<float>(labels.rows);
  by_dtype(op.logits.dtype, [&]<typename T>(Type<T>) {
    launch(stream, loss_kernel<T>, {.blocks = labels.rows, .threads = threads_for_row(labels.vocab)}, labels,
           op.logits.data<T>(), losses, op.logsumexp ? op.logsumexp.data<float>() : nullptr);
  });
  launch(stream, add_losses_kernel, {.blocks = 1, .threads = kThreads}, labels, losses, op.reduction == LossReduction::mean,
         op.loss ? op.loss.data<float>() : nullptr, op.count ? op.count.data<int32_t>() : nullptr);
}

void run(const CrossEntropyBackward& op, CudaStream& stream) {
  const Labels labels(op);
  doubt_labels<CrossEntropyBackward>(stream, labels);
  if (!op.dlogits) return;
  by_dtype(op.logits.dtype, [&]<typename T>(Type<T>) {
    launch(stream, backward_kernel<T>, {.blocks = labels.rows, .threads = threads_for_row(labels.vocab)}, labels,
           op.logits.data<T>(), op.logsumexp.data<float>(), op.dloss.data<float>(), op.count.data<int32_t>(),
           op.reduction == LossReduction::mean, op.dlogits.data<T>());
  });
}

}  // namespace mglmm::cuda
