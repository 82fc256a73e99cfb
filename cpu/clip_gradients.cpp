#include "kernels/clip_gradients.h"

#include "cpu/parallel.h"
#include "cpu/simd.h"
#include "cpu/tensor_pieces.h"
#include "kernels/stream.h"

namespace mglmm::cpu {

void run(const ClipGradients& op, Stream&) {
  const auto coefficient = static_cast<float>(op.maxNorm / (static_cast<double>(*op.norm.data<float>()) + op.eps));
  if (coefficient >= 1.0F) return;  // a NaN goes on, into the gradients
  const auto pieces = pieces_of(op.grads);
  parallel_pieces(static_cast<int64_t>(pieces.size()), [&](int64_t index) {
    const TensorPiece& piece = pieces[static_cast<size_t>(index)];
    by_dtype(op.grads[piece.tensor].dtype, [&]<typename T>(Type<T>) {
      T* values = op.grads[piece.tensor].data<T>();
      by_lanes(piece.begin, piece.end,
               [=](int64_t i, auto... lanes) { store(values + i, load(values + i, lanes...) * coefficient, lanes...); });
    });
  });
}

}  // namespace mglmm::cpu
