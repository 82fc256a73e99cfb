// Many tensors of uneven sizes as one list of pieces of at most kPieceElements: for work over all parameters at once.
#pragma once
#include <algorithm>
#include <cstdint>
#include <vector>

namespace mglmm::cpu {

inline constexpr int64_t kPieceElements = 65536;

struct TensorPiece {
  size_t tensor;
  int64_t begin, end;
};

// The split depends on the sizes alone, never on the threads: sums over pieces, in this order, are deterministic.
template <typename Tensors>
std::vector<TensorPiece> pieces_of(const Tensors& tensors) {
  std::vector<TensorPiece> pieces;
  for (size_t tensor = 0; tensor < tensors.size(); ++tensor) {
    const int64_t count = tensors[tensor].count();
    for (int64_t begin = 0; begin < count; begin += kPieceElements) {
      pieces.push_back({tensor, begin, std::min(begin + kPieceElements, count)});
    }
  }
  return pieces;
}

}  // namespace mglmm::cpu
