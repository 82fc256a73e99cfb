#include "cuda/product.h"

#include <string>

#include "cuda/few_rows.cuh"
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

constexpr int kThreads = 256;

// What is null is not added. Rounded once.
template <typename T, typename Result>
__global__ void __launch_bounds__(kThreads)
    add_kernel(int64_t count, int64_t columns, const float* sums, const T* bias, const Result* addend, Result* y) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= count) return;
  const float sum = bias == nullptr ? sums[i] : sums[i] + to_float(bias[i % columns]);
  put(y[i], addend == nullptr ? sum : to_float(addend[i]) + sum);
}

// For which multiply() has no algorithm as it is: the product by itself, then what is added to it.
void multiply_in_steps(CudaStream& stream, const Product& p, const std::byte* a, const std::byte* b, const std::byte* bias,
                       std::byte* y) {
  const int64_t count = p.stack * p.rows * p.columns;
  Product plain = p;
  plain.result = Dtype::f32;
  plain.addend = nullptr;
  float* sums = stream.scratch_of<float>(count);
  const bool is_plain = bias == nullptr && p.addend == nullptr && p.result == Dtype::f32;
  if (is_plain || !multiply(stream, plain, a, b, nullptr, reinterpret_cast<std::byte*>(sums))) {
    throw Error(kKernelError, "there is no algorithm for " + std::to_string(p.stack) + " x [" + std::to_string(p.rows) +
                                  ", " + std::to_string(p.inner) + "] by [" + std::to_string(p.inner) + ", " +
                                  std::to_string(p.columns) + "] in " + to_string(p.dtype));
  }
  by_types(p, y, [&]<typename T, typename Result>(Type<T>, Result* to) {
    launch(stream, add_kernel<T, Result>, {.blocks = blocks_for(count, kThreads), .threads = kThreads}, count, p.columns,
           sums, reinterpret_cast<const T*>(bias), reinterpret_cast<const Result*>(p.addend), to);
  });
}

// The same at 16 bytes: what is read in packets, whatever is said of its place.
const std::byte* at_packets(CudaStream& stream, const std::byte* from, int64_t bytes) {
  if (aligned(from)) return from;
  std::byte* moved = stream.scratch(bytes);
  stream.copy(moved, from, bytes);
  return moved;
}

}  // namespace

void product(CudaStream& stream, const Product& p, const std::byte* a, const std::byte* b, const std::byte* bias,
             std::byte* y) {
  const int64_t rows = p.stack * p.rows;
  const int64_t row_bytes = p.columns * size_of(p.result);
  if (rows * row_bytes == 0) return;
  if (p.inner > 0) {
    const int64_t size = size_of(p.dtype);
    if (is_few_rows(p, b)) return multiply_few_rows(stream, p, at_packets(stream, a, p.rows * p.inner * size), b, bias, y);
    if (bias != nullptr) bias = at_packets(stream, bias, p.columns * size);
    Product rounded = p;
    rounded.tf32 = stream.tf32() && p.dtype == Dtype::f32;
    if (!multiply(stream, rounded, a, b, bias, y)) multiply_in_steps(stream, rounded, a, b, bias, y);
    return;
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
