#include "kernels/adamw.h"

#include <cmath>

#include "cuda/tensor_pieces.cuh"

namespace mglmm::cuda {
namespace {

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

// `master` is null where the parameter is its own original.
struct Parameter {
  Numbers param, grad;
  float* exp_avg;
  float* exp_avg_sq;
  float* master;
};

__global__ void __launch_bounds__(kPieceThreads)
    step_kernel(const TensorPiece* pieces, const Parameter* parameters, const float* norm, Factors f) {
  if (norm != nullptr && !(fabsf(*norm) < INFINITY)) return;
  const TensorPiece piece = pieces[blockIdx.x];
  const Parameter parameter = parameters[piece.tensor];
  for (int64_t i = piece.begin + threadIdx.x; i < piece.end; i += kPieceThreads) {
    const float g = parameter.grad.at(i);
    const float m = parameter.exp_avg[i] * f.beta1 + g * f.rest1;
    const float v = parameter.exp_avg_sq[i] * f.beta2 + g * g * f.rest2;
    const float before = parameter.master != nullptr ? parameter.master[i] : parameter.param.at(i);
    const float p = before * f.decay - f.step_size * m / (sqrtf(v * f.correction2) + f.eps);
    parameter.exp_avg[i] = m;
    parameter.exp_avg_sq[i] = v;
    if (parameter.master != nullptr) parameter.master[i] = p;
    parameter.param.set(i, p);
  }
}

}  // namespace

void run(const Adamw& op, CudaStream& stream) {
  const auto pieces = pieces_of(op.params);
  if (pieces.empty()) return;
  const auto params = numbers_of(op.params);
  const auto grads = numbers_of(op.grads);
  std::vector<Parameter> parameters;
  for (size_t i = 0; i < params.size(); ++i) {
    parameters.push_back({params[i], grads[i], op.expAvg[i].data<float>(), op.expAvgSq[i].data<float>(),
                          op.masters.empty() ? nullptr : op.masters[i].data<float>()});
  }
  launch(stream, step_kernel, {.blocks = static_cast<int64_t>(pieces.size()), .threads = kPieceThreads},
         stream.table(pieces), stream.table(parameters), op.norm ? op.norm->data<float>() : nullptr, Factors(op));
}

}  // namespace mglmm::cuda
