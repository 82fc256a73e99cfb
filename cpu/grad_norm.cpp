#include "kernels/grad_norm.h"

#include <cmath>

#include "cpu/parallel.h"
#include "cpu/simd.h"
#include "cpu/tensor_pieces.h"
#include "kernels/stream.h"

namespace mglmm::cpu {
namespace {

using vdouble = double __attribute__((vector_size(kLanes * 8)));

// In f64: the square of an f32 never overflows there.
template <typename T>
double sum_of_squares(const T* values, int64_t begin, int64_t end) {
  vdouble sums[2] = {};
  int64_t i = begin;
  for (; i + 2 * kLanes <= end; i += 2 * kLanes) {
    for (int k = 0; k < 2; ++k) {
      const vdouble v = __builtin_convertvector(load(values + i + k * kLanes), vdouble);
      sums[k] += v * v;
    }
  }
  by_lanes(i, end, [&](int64_t at, auto... lanes) {
    const vdouble v = __builtin_convertvector(load(values + at, lanes...), vdouble);
    sums[0] += v * v;
  });
  double total = 0;
  for (int lane = 0; lane < kLanes; ++lane) total += sums[0][lane] + sums[1][lane];
  return total;
}

}  // namespace

void run(const GradNorm& op, Stream&) {
  if (!op.norm) return;
  const auto pieces = pieces_of(op.grads);
  std::vector<double> sums(pieces.size());
  parallel_pieces(static_cast<int64_t>(pieces.size()), [&](int64_t index) {
    const TensorPiece& piece = pieces[static_cast<size_t>(index)];
    by_dtype(op.grads[piece.tensor].dtype, [&]<typename T>(Type<T>) {
      sums[static_cast<size_t>(index)] = sum_of_squares(op.grads[piece.tensor].data<T>(), piece.begin, piece.end);
    });
  });
  double total = 0;
  for (const double sum : sums) total += sum;
  *op.norm.data<float>() = static_cast<float>(std::sqrt(total));
}

}  // namespace mglmm::cpu
