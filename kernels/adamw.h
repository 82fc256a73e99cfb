// One step of AdamW on many tensors at once. Loshchilov & Hutter 2019, arXiv 1711.05101; bias correction as Kingma & Ba
// 2015:
//   p -= lr * weightDecay * p
//   m = beta1 * m + (1 - beta1) * g,  v = beta2 * v + (1 - beta2) * g^2
//   p -= lr * (m / (1 - beta1^step)) / (sqrt(v / (1 - beta2^step)) + eps)
// in f32. A parameter of bf16 or f16 loses updates below half its last bit: give `masters`, its f32 original, which is
// updated instead and then rounded into the parameter.
#pragma once
#include <vector>

#include "kernels/fields.h"
#include "kernels/tensor.h"

namespace mglmm {

struct Adamw {
  std::vector<InOut> params;       // [...] each  f32 | bf16 | f16
  std::vector<ConstTensor> grads;  // shapes of params  f32 | bf16 | f16
  std::vector<InOut> expAvg;       // shapes of params  f32, m
  std::vector<InOut> expAvgSq;     // shapes of params  f32, v
  std::vector<InOut> masters;      // shapes of params  f32; or empty: the params are their own originals
  MaybeTensor norm;                // []  f32, of all gradients (gradNorm): when it is not finite nothing changes
  double lr = 1e-3;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double eps = 1e-8;
  double weightDecay = 0;
  int64_t step = 1;  // the first is 1
  MGLMM_OP(adamw, params, grads, expAvg, expAvgSq, masters, norm, lr, beta1, beta2, eps, weightDecay, step)
};

void check(Adamw& op);

}  // namespace mglmm
