#include "kernels/embedding.h"

#include "cuda/rows.cuh"

namespace mglmm::cuda {

void run(const Embedding& op, CudaStream& stream) {
  const int64_t vocab = op.weight.shape[0];
  doubt_indices(stream, "embedding", "ids", op.ids, vocab);
  gather_rows(stream, op.weight, op.ids, op.y);
}

void run(const EmbeddingBackward& op, CudaStream& stream) {
  const int64_t vocab = op.weight.shape[0];
  doubt_indices(stream, "embeddingBackward", "ids", op.ids, vocab);
  if (!op.dweight) return;
  by_dtype(op.dy.dtype, [&]<typename T>(Type<T>) {
    scatter_rows(stream, op.dy.data<T>(), op.ids, op.dweight.data<T>(), vocab, op.weight.shape[1]);
  });
}

}  // namespace mglmm::cuda
