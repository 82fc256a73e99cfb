#include "cuda/tensor_map.h"

#include <cudaTypedefs.h>
#include <cuda_runtime.h>

#include "cuda/stream.h"

namespace mglmm::cuda {
namespace {

// The driver's: the library is not linked to it, so that it loads where there is none.
PFN_cuTensorMapEncodeTiled_v12000 find_encode() {
  void* function = nullptr;
  cudaDriverEntryPointQueryResult found{};
  expect(cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &function, 12000, cudaEnableDefault, &found),
         "asking the driver for tensor maps");
  if (found != cudaDriverEntryPointSuccess) throw Error(kKernelError, "the driver has no cuTensorMapEncodeTiled");
  return reinterpret_cast<PFN_cuTensorMapEncodeTiled_v12000>(function);
}

}  // namespace

TensorMap tensor_map(const void* data, const std::array<int64_t, 4>& sizes, const std::array<int64_t, 3>& strides,
                     int rows) {
  static const auto encode = find_encode();
  std::array<cuuint64_t, 4> extents{};
  std::array<cuuint64_t, 3> bytes{};
  for (size_t axis = 0; axis < 4; ++axis) extents[axis] = static_cast<cuuint64_t>(sizes[axis]);
  for (size_t axis = 0; axis < 3; ++axis) bytes[axis] = static_cast<cuuint64_t>(strides[axis]) * sizeof(uint16_t);
  const std::array<cuuint32_t, 4> box{kBoxColumns, static_cast<cuuint32_t>(rows), 1, 1};
  const std::array<cuuint32_t, 4> steps{1, 1, 1, 1};
  TensorMap map;
  const CUresult result =
      encode(&map, CU_TENSOR_MAP_DATA_TYPE_UINT16, 4, const_cast<void*>(data), extents.data(), bytes.data(), box.data(),
             steps.data(), CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B, CU_TENSOR_MAP_L2_PROMOTION_L2_256B,
             CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  if (result != CUDA_SUCCESS) throw Error(kKernelError, "the driver refuses a tensor map: " + std::to_string(result));
  return map;
}

}  // namespace mglmm::cuda
