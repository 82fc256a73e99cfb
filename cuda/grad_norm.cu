// In f64: the square of an f32 never overflows there.
#include "kernels/grad_norm.h"

#include "cuda/tensor_pieces.cuh"

namespace mglmm::cuda {
namespace {

struct WarpSums {
  double values[kPieceThreads / 32];
};

// In every thread of the block, over its kPieceThreads values.
__device__ double sum_of_block(double value) {
  auto& sums = shared<WarpSums>();
  for (int bits = 16; bits > 0; bits /= 2) value += __shfl_xor_sync(0xffffffff, value, bits);
  if (threadIdx.x % 32 == 0) sums.values[threadIdx.x / 32] = value;
  __syncthreads();
  double total = 0;
  for (const double sum : sums.values) total += sum;
  return total;
}

__global__ void __launch_bounds__(kPieceThreads)
    squares_kernel(const TensorPiece* pieces, const Numbers* tensors, double* sums) {
  const TensorPiece piece = pieces[blockIdx.x];
  const Numbers numbers = tensors[piece.tensor];
  double sum = 0;
  for (int64_t i = piece.begin + threadIdx.x; i < piece.end; i += kPieceThreads) {
    const double value = numbers.at(i);
    sum += value * value;
  }
  sum = sum_of_block(sum);
  if (threadIdx.x == 0) sums[blockIdx.x] = sum;
}

__global__ void __launch_bounds__(kPieceThreads) root_kernel(int64_t count, const double* sums, float* norm) {
  double sum = 0;
  for (int64_t i = threadIdx.x; i < count; i += kPieceThreads) sum += sums[i];
  sum = sum_of_block(sum);
  if (threadIdx.x == 0) *norm = static_cast<float>(sqrt(sum));
}

}  // namespace

void run(const GradNorm& op, CudaStream& stream) {
  if (!op.norm) return;
  const auto pieces = pieces_of(op.grads);
  const auto count = static_cast<int64_t>(pieces.size());
  auto* sums = stream.scratch_of<double>(count);
  launch(stream, squares_kernel, {.blocks = count, .threads = kPieceThreads}, stream.table(pieces),
         stream.table(numbers_of(op.grads)), sums);
  launch(stream, root_kernel, {.blocks = 1, .threads = kPieceThreads}, count, sums, op.norm.data<float>());
}

}  // namespace mglmm::cuda
