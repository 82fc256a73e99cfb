// The labels of a language model's loss, looked at on the device, the row whose label counts for a row, and the gradient of
// its loss in its logits.
#pragma once
#include <string>

#include "cuda/row.cuh"

namespace mglmm::cuda {

inline constexpr int kLabelThreads = 256;
inline constexpr int64_t kNoLabel = -1;

struct Labels {
  const int32_t* labels;
  int64_t rows, seq, ignored, vocab;  // seq is 0 without a shift

  // `Op` has the fields labels [..., seq] i32, ignoreIndex and shift (kernels/cross_entropy.h).
  template <typename Op>
  Labels(const Op& op, int64_t vocabulary)
      : labels(op.labels.template data<int32_t>()),
        rows(op.labels.count()),
        seq(op.shift ? op.labels.shape[-1] : 0),
        ignored(op.ignoreIndex),
        vocab(vocabulary) {}

  __device__ int64_t place(int64_t row) const { return seq > 0 ? row + 1 : row; }
  __device__ bool has_none(int64_t row) const { return (seq > 0 && row % seq == seq - 1) || labels[place(row)] == ignored; }
  __device__ bool fits(int64_t row) const { return labels[place(row)] >= 0 && labels[place(row)] < vocab; }
  // One that does not fit, which is refused, counts as none.
  __device__ int64_t at(int64_t row) const { return has_none(row) || !fits(row) ? kNoLabel : labels[place(row)]; }
};

namespace {

__global__ void __launch_bounds__(kLabelThreads) check_labels_kernel(Labels labels, Refusal* refused) {
  const int64_t row = static_cast<int64_t>(blockIdx.x) * kLabelThreads + threadIdx.x;
  if (row >= labels.rows || labels.has_none(row) || labels.fits(row)) return;
  const int64_t place = labels.place(row);
  atomicMin(refused, static_cast<Refusal>(place) << 32 | static_cast<uint32_t>(labels.labels[place]));
}

// gradient = (softmax(logits) - 1 at the label) * scale, `whole` the log of the sum of their exponentials; 0 without a
// label. `gradient` may be `logits`.
template <typename T>
__device__ __forceinline__ void loss_gradient(const RowTeams& teams, const T* logits, int64_t label, float whole,
                                              float scale, T* gradient) {
  if (label == kNoLabel) {
    write_row(teams, gradient, [](int64_t) { return 0.0F; });
    return;
  }
  write_row(
      teams, gradient,
      [=](int64_t i, float logit) {
        const float probability = expf(logit - whole);
        return (i == label ? probability - 1.0F : probability) * scale;
      },
      logits);
}

struct LabelTotals {
  double losses[kLabelThreads];
  int64_t valid[kLabelThreads];
};

// Of one block. `losses` of rows, or null; `count` and `loss` may be null.
__global__ void __launch_bounds__(kLabelThreads)
    add_labels_kernel(Labels labels, const float* losses, bool mean, float* loss, int32_t* count) {
  auto& totals = shared<LabelTotals>();
  double own = 0;
  int64_t own_valid = 0;
  for (int64_t row = threadIdx.x; row < labels.rows; row += kLabelThreads) {
    if (losses != nullptr) own += losses[row];
    own_valid += labels.at(row) == kNoLabel ? 0 : 1;
  }
  totals.losses[threadIdx.x] = own;
  totals.valid[threadIdx.x] = own_valid;
  __syncthreads();
  if (threadIdx.x != 0) return;
  double total = 0;
  int64_t valid = 0;
  for (int i = 0; i < kLabelThreads; ++i) {
    total += totals.losses[i];
    valid += totals.valid[i];
  }
  if (count != nullptr) *count = static_cast<int32_t>(valid);
  if (loss != nullptr) *loss = static_cast<float>(mean ? total / static_cast<double>(valid) : total);  // 0 / 0 is NaN
}

}  // namespace

template <typename Op>
void doubt_labels(CudaStream& stream, const Labels& labels) {
  if (labels.rows == 0) return;
  Refusal* refused = stream.question();
  launch(stream, check_labels_kernel, {.blocks = blocks_for(labels.rows, kLabelThreads), .threads = kLabelThreads}, labels,
         refused);
  stream.doubt(refused, [vocab = labels.vocab, ignored = labels.ignored](int64_t place, int32_t value) {
    return Error(kArgumentError, std::string(Op::name) + ": labels[" + std::to_string(place) + "] is " +
                                     std::to_string(value) + ", expected from 0 to below " + std::to_string(vocab) +
                                     ", or " + std::to_string(ignored) + " to be ignored");
  });
}

// The sum or mean of the rows' losses, and how many rows have a label; either may be null.
inline void add_labels(CudaStream& stream, const Labels& labels, const float* losses, bool mean, float* loss,
                       int32_t* count) {
  launch(stream, add_labels_kernel, {.blocks = 1, .threads = kLabelThreads}, labels, losses, mean, loss, count);
}

}  // namespace mglmm::cuda
