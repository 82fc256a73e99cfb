// How the copy engine of sm_90 (TMA) finds boxes of a tensor: 16-bit numbers along four axes, the innermost first.
#pragma once
#include <array>
#include <cstdint>

#if defined(MGLMM_SIMULATED)
#include "cuda/simulator/hopper.h"
#else
#include <cuda.h>
#endif

namespace mglmm::cuda {

#if defined(MGLMM_SIMULATED)
using TensorMap = simulator::TensorMap;
#else
using TensorMap = CUtensorMap;
#endif

// A box is 64 numbers, 128 bytes, along the innermost axis, and `rows`, at most 256, along the next. It comes to lie in
// shared memory row after row, the 16-byte pieces of row r in the order that XOR with r % 8 gives; what is beyond the tensor
// is 0. No size may be 0; data and strides, in numbers, are aligned to 16 bytes. Throws KernelError.
inline constexpr int kBoxColumns = 64;
TensorMap tensor_map(const void* data, const std::array<int64_t, 4>& sizes, const std::array<int64_t, 3>& strides, int rows);

}  // namespace mglmm::cuda
