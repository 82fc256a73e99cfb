// Products of matrices. On a GPU they are cuBLASLt's (cuda/cublas.cpp); the simulator has plain loops in their place.
#pragma once
#include "cuda/stream.h"

namespace mglmm::cuda {

// y[s] = a[s] b[s] + addend[s], row-major; sums in f32, rounded once.
struct Product {
  int64_t stack = 1;
  int64_t rows = 0, columns = 0, inner = 0;
  // Whether a is stored [inner, rows], b [columns, inner].
  bool a_transposed = false, b_transposed = false;
  // Whether one matrix is that of the whole stack.
  bool a_shared = false, b_shared = false;
  Dtype dtype = Dtype::f32;   // of a, b and bias
  Dtype result = Dtype::f32;  // of y: dtype, or f32
  bool tf32 = false;          // a and b, of f32, may be rounded to 10 bits of mantissa; product() sets it as its stream says
  // [stack, rows, columns] of `result`, or null: a residual, or y, which is added to then.
  const std::byte* addend = nullptr;
};

// `bias` [columns] is added to each row unless it is null.
void product(CudaStream& stream, const Product& p, const std::byte* a, const std::byte* b, const std::byte* bias,
             std::byte* y);

// Of y = x weight^T with x [rows, in] and weight [out, in], all of `dtype`.
struct LinearSizes {
  int64_t rows, in, out;
};
void linear_input_gradient(CudaStream& stream, const LinearSizes& s, Dtype dtype, const std::byte* dy,
                           const std::byte* weight, std::byte* dx);
void linear_weight_gradient(CudaStream& stream, const LinearSizes& s, Dtype dtype, const std::byte* dy, const std::byte* x,
                            std::byte* dweight);
void linear_bias_gradient(CudaStream& stream, const LinearSizes& s, Dtype dtype, const std::byte* dy, std::byte* dbias);

// Without sizes of 0. Kept by cuda/cublas.cpp, or by the simulator. False, with nothing done, where there is no algorithm
// for it as it is.
bool multiply(CudaStream& stream, const Product& p, const std::byte* a, const std::byte* b, const std::byte* bias,
              std::byte* y);

}  // namespace mglmm::cuda
