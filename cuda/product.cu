#include "cuda/product.h"

#include "cuda/map.cuh"
#include "cuda/rows.cuh"
#include "cuda/sums.cuh"

namespace mglmm::cuda {
namespace {

struct SameRow {
  const std::byte* row;
  __device__ const std::byte* operator()(int64_t) const { return row; }
};

struct Added {
  __device__ float operator()(float a, float b) const { return a + b; }
};

}  // namespace

void product(CudaStream& stream, const Product& p, const std::byte* a, const std::byte* b, const std::byte* bias,
             std::byte* y) {
  const int64_t rows = p.stack * p.rows;
  const int64_t row_bytes = p.columns * size_of(p.result);
  if (rows * row_bytes == 0) return;
  if (p.inner > 0) {
    Product rounded = p;
    rounded.tf32 = stream.tf32() && p.dtype == Dtype::f32;
    return multiply(stream, rounded, a, b, bias, y);
  }
  if (bias != nullptr)
    move_rows(stream, rows, row_bytes, y, SameRow{bias}, bias);
  else if (p.addend != y)
    stream.clear(y, rows * row_bytes);
  if (p.addend == nullptr || p.addend == y) return;
  by_dtype(p.result, [&]<typename T>(Type<T>) {
    map(stream, rows * p.columns, Added{}, reinterpret_cast<T*>(y), reinterpret_cast<const T*>(y),
        reinterpret_cast<const T*>(p.addend));
  });
}

void linear_input_gradient(CudaStream& stream, const LinearSizes& s, Dtype dtype, const std::byte* dy,
                           const std::byte* weight, std::byte* dx) {
  product(stream, {.rows = s.rows, .columns = s.in, .inner = s.out, .dtype = dtype, .result = dtype}, dy, weight, nullptr,
          dx);
}

void linear_weight_gradient(CudaStream& stream, const LinearSizes& s, Dtype dtype, const std::byte* dy, const std::byte* x,
                            std::byte* dweight) {
  product(stream, {.rows = s.out, .columns = s.in, .inner = s.rows, .a_transposed = true, .dtype = dtype, .result = dtype},
          dy, x, nullptr, dweight);
}

void linear_bias_gradient(CudaStream& stream, const LinearSizes& s, Dtype dtype, const std::byte* dy, std::byte* dbias) {
  by_dtype(dtype, [&]<typename T>(Type<T>) {
    sum_over(stream, over_rows(s.rows, s.out), ValueAt<T>{reinterpret_cast<const T*>(dy)},
             StoreSum<T>{reinterpret_cast<T*>(dbias)});
  });
}

}  // namespace mglmm::cuda
