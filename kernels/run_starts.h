// What check() cannot see of op rleDecode: the values of its tensors, which a backend has looked at once they are there.
#pragma once
#include <string>
#include <vector>

#include "kernels/error.h"
#include "kernels/rle_decode.h"

namespace mglmm {

// Where each mask's runs begin, and the end of the last. Throws ArgumentError unless all runs are whole numbers that cover
// the image.
inline std::vector<int64_t> run_starts(const RleDecode& op, const int32_t* runs, const int32_t* counts) {
  const auto refuse = [](const std::string& message) { throw Error(kArgumentError, "rleDecode: " + message); };
  const int64_t pixels = op.height * op.width;
  std::vector<int64_t> starts{0};
  for (int64_t i = 0; i < op.counts.count(); ++i) {
    const std::string mask = "[" + std::to_string(i) + "]";
    const int64_t begin = starts.back();
    if (counts[i] < 0) refuse("counts" + mask + " is " + std::to_string(counts[i]) + ", expected 0 or more");
    if (counts[i] > op.runs.count() - begin) {
      refuse("counts" + mask + " is " + std::to_string(counts[i]) + ", expected at most " +
             std::to_string(op.runs.count() - begin) + ", the runs that are left");
    }
    int64_t sum = 0;
    for (int64_t k = begin; k < begin + counts[i]; ++k) {
      if (runs[k] < 0) refuse("runs[" + std::to_string(k) + "] is " + std::to_string(runs[k]) + ", expected 0 or more");
      sum += runs[k];
    }
    if (sum != pixels) {
      refuse("runs of mask " + std::to_string(i) + " cover " + std::to_string(sum) + " pixels, expected " +
             std::to_string(pixels) + ", height * width");
    }
    starts.push_back(begin + counts[i]);
  }
  if (starts.back() != op.runs.count()) {
    refuse("counts add up to " + std::to_string(starts.back()) + ", expected " + std::to_string(op.runs.count()) +
           ", the size of runs");
  }
  return starts;
}

}  // namespace mglmm
