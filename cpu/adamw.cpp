#include "kernels/adamw.h"

#include <cmath>

#include "cpu/parallel.h"
#include "cpu/simd.h"
#include "cpu/tensor_pieces.h"
#include "kernels/stream.h"

namespace mglmm::cpu {
namespace {

vfloat square_root(vfloat x) {
  vfloat root;
  for (int lane = 0; lane < kLanes; ++lane) root[lane] = __builtin_sqrtf(x[lane]);
  return root;
}

struct Factors {
  float decay, beta1, rest1, beta2, rest2, step_size, correction2, eps;
  explicit Factors(const Adamw& op) {
    const auto step = static_cast<double>(op.step);
    decay = static_cast<float>(1 - op.lr * op.weightDecay);
    beta1 = static_cast<float>(op.beta1);
    rest1 = static_cast<float>(1 - op.beta1);
    beta2 = static_cast<float>(op.beta2);
    rest2 = static_cast<float>(1 - op.beta2);
    step_size = static_cast<float>(op.lr / (1 - std::pow(op.beta1, step)));
    correction2 = static_cast<float>(1 / (1 - std::pow(op.beta2, step)));
    eps = static_cast<float>(op.eps);
  }
};

// `master` is the parameter itself, or the f32 original that is rounded into `param`.
template <typename Param, typename Grad, typename Master>
void update(const TensorPiece& piece, Param* param, const Grad* grad, float* exp_avg, float* exp_avg_sq, Master* master,
            const Factors& f) {
  by_lanes(piece.begin, piece.end, [=](int64_t i, auto... lanes) {
    const vfloat g = load(grad + i, lanes...);
    const vfloat m = load(exp_avg + i, lanes...) * f.beta1 + g * f.rest1;
    const vfloat v = load(exp_avg_sq + i, lanes...) * f.beta2 + g * g * f.rest2;
    const vfloat p = load(master + i, lanes...) * f.decay - f.step_size * m / (square_root(v * f.correction2) + f.eps);
    store(exp_avg + i, m, lanes...);
    store(exp_avg_sq + i, v, lanes...);
    store(master + i, p, lanes...);
    if constexpr (!std::is_same_v<Param, Master>) store(param + i, p, lanes...);
  });
}

}  // namespace

void run(const Adamw& op, Stream&) {
  if (op.norm && !std::isfinite(*op.norm->data<float>())) return;
  const Factors factors(op);
  const auto pieces = pieces_of(op.params);
  parallel_pieces(static_cast<int64_t>(pieces.size()), [&](int64_t index) {
    const TensorPiece& piece = pieces[static_cast<size_t>(index)];
    const size_t i = piece.tensor;
    float* exp_avg = op.expAvg[i].data<float>();
    float* exp_avg_sq = op.expAvgSq[i].data<float>();
    by_dtype(op.params[i].dtype, [&]<typename Param>(Type<Param>) {
      by_dtype(op.grads[i].dtype, [&]<typename Grad>(Type<Grad>) {
        Param* param = op.params[i].data<Param>();
        const Grad* grad = op.grads[i].data<Grad>();
        if (op.masters.empty()) {
          update(piece, param, grad, exp_avg, exp_avg_sq, param, factors);
        } else if constexpr (std::is_same_v<Param, float>) {
          // Both are f32 and hold the same: the parameter's copy follows, the master is the original.
          float* master = op.masters[i].data<float>();
          update(piece, master, grad, exp_avg, exp_avg_sq, master, factors);
          std::memmove(param + piece.begin, master + piece.begin,
                       static_cast<size_t>(piece.end - piece.begin) * sizeof(float));
        } else {
          update(piece, param, grad, exp_avg, exp_avg_sq, op.masters[i].data<float>(), factors);
        }
      });
    });
  });
}

}  // namespace mglmm::cpu
