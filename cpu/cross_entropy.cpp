#include "kernels/cross_entropy.h"

#include <cstring>
#include <limits>
#include <string>

#include "cpu/log_sum_exp.h"
#include "cpu/parallel.h"
#include "kernels/error.h"
#include "kernels/stream.h"

namespace mglmm::cpu {
namespace {

constexpr int64_t kNoLabel = -1;

// Where the label of each row stands, for both directions.
template <typename Op>
class Labels {
 public:
  explicit Labels(const Op& op)
      : labels_(op.labels.template data<int32_t>()),
        rows_(op.labels.count()),
        seq_(op.shift ? op.labels.shape[-1] : 0),
        ignored_(op.ignoreIndex) {}

  int64_t rows() const { return rows_; }
  int64_t at(int64_t row) const {
    if (seq_ > 0 && row % seq_ == seq_ - 1) return kNoLabel;
    const int32_t label = labels_[place(row)];
    return label == ignored_ ? kNoLabel : label;
  }
  // Rows with a label. Throws when one is not below vocab.
  int64_t checked(int64_t vocab) const {
    int64_t valid = 0;
    for (int64_t row = 0; row < rows_; ++row) {
      if (seq_ > 0 && row % seq_ == seq_ - 1) continue;
      const int32_t label = labels_[place(row)];
      if (label == ignored_) continue;
      if (label < 0 || label >= vocab) {
        throw Error(kArgumentError, std::string(Op::name) + ": labels[" + std::to_string(place(row)) + "] is " +
                                        std::to_string(label) + ", expected from 0 to below " + std::to_string(vocab) +
                                        ", or " + std::to_string(ignored_) + " to be ignored");
      }
      ++valid;
    }
    return valid;
  }

 private:
  int64_t place(int64_t row) const { return seq_ > 0 ? row + 1 : row; }

  const int32_t* labels_;
  int64_t rows_, seq_, ignored_;
};

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
          cross_entropy_gradient(logits + row * vocab, vocab, label, logsumexp[row], scale, gradient);
        }
      }
    });
  });
}

}  // namespace mglmm::cpu
