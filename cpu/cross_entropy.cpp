#include "kernels/cross_entropy.h"

#include <cstring>
#include <limits>

#include "cpu/labels.h"
#include "cpu/log_sum_exp.h"
#include "cpu/parallel.h"
#include "kernels/stream.h"

namespace mglmm::cpu {
namespace {

int64_t grain_of(int64_t vocab) { return std::max<int64_t>(1, kElementGrain / std::max<int64_t>(vocab, 1)); }

}  // namespace

void run(const CrossEntropy& op, Stream& stream) {
  const int64_t vocab = op.logits.shape[-1];
  const Labels labels(op);
  const int64_t valid = labels.checked(vocab);
  float* logsumexp = op.logsumexp ? op.logsumexp.data<float>() : nullptr;
  float* losses = stream.scratch_of<float>(labels.rows());
  by_dtype(op.logits.dtype, [&]<typename T>(Type<T>) {
    const T* logits = op.logits.data<T>();
    parallel_ranges(labels.rows(), grain_of(vocab), [=](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        const int64_t label = labels.at(row);
        const float whole = label == kNoLabel ? 0.0F : log_sum_exp(logits + row * vocab, vocab);
        losses[row] = label == kNoLabel ? 0.0F : whole - static_cast<float>(logits[row * vocab + label]);
        if (logsumexp) logsumexp[row] = whole;
      }
    });
  });
  if (op.count) *op.count.data<int32_t>() = static_cast<int32_t>(valid);
  if (!op.loss) return;
  double total = 0;
  for (int64_t row = 0; row < labels.rows(); ++row) total += losses[row];
  if (op.reduction == LossReduction::mean) {
    total = valid > 0 ? total / static_cast<double>(valid) : std::numeric_limits<double>::quiet_NaN();
  }
  *op.loss.data<float>() = static_cast<float>(total);
}

void run(const CrossEntropyBackward& op, Stream&) {
  if (!op.dlogits) return;
  const int64_t vocab = op.logits.shape[-1];
  const Labels labels(op);
  labels.checked(vocab);
  const float* logsumexp = op.logsumexp.data<float>();
  float scale = *op.dloss.data<float>();
  if (op.reduction == LossReduction::mean) scale /= static_cast<float>(*op.count.data<int32_t>());
  by_dtype(op.logits.dtype, [&]<typename T>(Type<T>) {
    const T* logits = op.logits.data<T>();
    T* dlogits = op.dlogits.data<T>();
    parallel_ranges(labels.rows(), grain_of(vocab), [=](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        const int64_t label = labels.at(row);
        T* gradient = dlogits + row * vocab;
        if (label == kNoLabel) {
          std::memset(static_cast<void*>(gradient), 0, static_cast<size_t>(vocab) * sizeof(T));
        } else {
          const T* own = logits + row * vocab;
          scaled_softmax(own, vocab, logsumexp[row], scale, gradient);
          gradient[label] = T(label_gradient(own[label], logsumexp[row], scale));
        }
      }
    });
  });
}

}  // namespace mglmm::cpu
