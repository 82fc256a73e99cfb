// Many tensors of uneven sizes as one list of pieces of at most kPieceElements: one launch for all parameters, a block a
// piece.
#pragma once
#include <algorithm>
#include <vector>

#include "cuda/number.cuh"

namespace mglmm::cuda {

inline constexpr int64_t kPieceElements = 16384;
inline constexpr int kPieceThreads = 256;

struct TensorPiece {
  int32_t tensor;
  int64_t begin, end;
};

// The split depends on the sizes alone.
template <typename Tensors>
std::vector<TensorPiece> pieces_of(const Tensors& tensors) {
  std::vector<TensorPiece> pieces;
  for (size_t tensor = 0; tensor < tensors.size(); ++tensor) {
    const int64_t count = tensors[tensor].count();
    for (int64_t begin = 0; begin < count; begin += kPieceElements) {
      pieces.push_back({static_cast<int32_t>(tensor), begin, std::min(begin + kPieceElements, count)});
    }
  }
  return pieces;
}

// An array of numbers of whichever dtype.
struct Numbers {
  std::byte* data;
  Dtype dtype;

  __device__ float at(int64_t i) const {
    if (dtype == Dtype::f32) return reinterpret_cast<const float*>(data)[i];
    return dtype == Dtype::bf16 ? to_float(reinterpret_cast<const bf16*>(data)[i])
                                : to_float(reinterpret_cast<const f16*>(data)[i]);
  }
  __device__ void set(int64_t i, float value) const {
    if (dtype == Dtype::f32)
      reinterpret_cast<float*>(data)[i] = value;
    else if (dtype == Dtype::bf16)
      put(reinterpret_cast<bf16*>(data)[i], value);
    else
      put(reinterpret_cast<f16*>(data)[i], value);
  }
};

template <typename Tensors>
std::vector<Numbers> numbers_of(const Tensors& tensors) {
  std::vector<Numbers> numbers;
  for (const TensorRef& tensor : tensors) numbers.push_back({tensor.storage->data + tensor.offset, tensor.dtype});
  return numbers;
}

}  // namespace mglmm::cuda
