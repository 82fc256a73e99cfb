// Products of matrices. On a GPU those of many rows are cuBLASLt's (cuda/cublas.cpp), and the simulator has plain loops in
// their place; those of few rows are a kernel of ours (cuda/few_rows.cuh), but in f32.
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

// Rows of a step of generation, at most: up to here none of them changes the bits of another.
inline constexpr int64_t kFewRows = 16;

// `bias` [columns] is added to each row unless it is null.
void product(CudaStream& stream, const Product& p, const std::byte* a, const std::byte* b, const std::byte* bias,
             std::byte* y);

// body(Type<T>, y) for what a, b and bias are made of, with y as what it is made of.
template <typename Body>
void by_types(const Product& p, std::byte* y, Body&& body) {
  by_dtype(p.dtype, [&]<typename T>(Type<T> type) {
    if (p.result == p.dtype)
      body(type, reinterpret_cast<T*>(y));
    else
      body(type, reinterpret_cast<float*>(y));
  });
}

// Of y = x weight^T with x [rows, in] and weight [out, in], all of `dtype`.
struct LinearSizes {
  int64_t rows, in, out;
};
void linear_input_gradient(CudaStream& stream, const LinearSizes& s, Dtype dtype, const std::byte* dy,
                           const std::byte* weight, std::byte* dx);
void linear_weight_gradient(CudaStream& stream, const LinearSizes& s, Dtype dtype, const std::byte* dy, const std::byte* x,
                            std::byte* dweight);
void linear_bias_gradient(CudaStream& stream, const LinearSizes& s, Dtype dtype, const std::byte* dy, std::byte* dbias);

// Without sizes of 0, with a bias that begins at 16 bytes. Kept by cuda/cublas.cpp, or by the simulator. False, with nothing
// done, where there is no algorithm for it as it is.
bool multiply(CudaStream& stream, const Product& p, const std::byte* a, const std::byte* b, const std::byte* bias,
              std::byte* y);

}  // namespace mglmm::cuda
