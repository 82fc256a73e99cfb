#include "kernels/embedding.h"

#include "cpu/rows.h"

namespace mglmm::cpu {

void run(const Embedding& op, Stream&) {
  expect_indices("embedding", "ids", op.ids, op.weight.shape[0]);
  if (op.y.count() == 0) return;
  gather_rows(op.weight.raw(), op.ids, op.y.raw(), op.weight.shape[1] * size_of(op.weight.dtype));
}

void run(const EmbeddingBackward& op, Stream& stream) {
  expect_indices("embeddingBackward", "ids", op.ids, op.weight.shape[0]);
  if (!op.dweight || op.dweight.count() == 0) return;
  by_dtype(op.dy.dtype, [&]<typename T>(Type<T>) {
    scatter_rows(op.dy.data<T>(), op.ids, op.dweight.data<T>(), op.weight.shape[0], op.weight.shape[1], stream);
  });
}

}  // namespace mglmm::cpu
