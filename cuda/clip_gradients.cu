#include "kernels/clip_gradients.h"

#include "cuda/tensor_pieces.cuh"

namespace mglmm::cuda {
namespace {

__global__ void __launch_bounds__(kPieceThreads)
    clip_kernel(const TensorPiece* pieces, const Numbers* tensors, const float* norm, double max_norm, double eps) {
  const auto coefficient = static_cast<float>(max_norm / (static_cast<double>(*norm) + eps));
  if (coefficient >= 1.0F) return;  // a NaN goes on, into the gradients
  const TensorPiece piece = pieces[blockIdx.x];
  const Numbers numbers = tensors[piece.tensor];
  for (int64_t i = piece.begin + threadIdx.x; i < piece.end; i += kPieceThreads) numbers.set(i, numbers.at(i) * coefficient);
}

}  // namespace

void run(const ClipGradients& op, CudaStream& stream) {
  const auto pieces = pieces_of(op.grads);
  if (pieces.empty()) return;
  launch(stream, clip_kernel, {.blocks = static_cast<int64_t>(pieces.size()), .threads = kPieceThreads},
         stream.table(pieces), stream.table(numbers_of(op.grads)), op.norm.data<float>(), op.maxNorm, op.eps);
}

}  // namespace mglmm::cuda
