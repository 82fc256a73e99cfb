// The labels of a language model's loss, checked, and the row whose label counts for a row.
#pragma once
#include <string>

#include "kernels/error.h"
#include "kernels/tensor.h"

namespace mglmm::cpu {

inline constexpr int64_t kNoLabel = -1;

// `Op` has the fields labels [..., seq] i32, ignoreIndex and shift (kernels/cross_entropy.h).
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
    if (has_none(row)) return kNoLabel;
    const int32_t label = labels_[place(row)];
    return label == ignored_ ? kNoLabel : label;
  }

  // Rows with a label. Throws when one is not below vocab.
  int64_t checked(int64_t vocab) const {
    int64_t valid = 0;
    for (int64_t row = 0; row < rows_; ++row) {
      if (has_none(row)) continue;
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
  bool has_none(int64_t row) const { return seq_ > 0 && row % seq_ == seq_ - 1; }
  int64_t place(int64_t row) const { return seq_ > 0 ? row + 1 : row; }

  const int32_t* labels_;
  int64_t rows_, seq_, ignored_;
};

}  // namespace mglmm::cpu
