#include "kernels/adamw.h"

#include <cmath>
#include <string>

#include "kernels/check.h"

namespace mglmm {
namespace {

std::string element(const char* name, size_t index) { return std::string(name) + "[" + std::to_string(index) + "]"; }

template <typename Tensors>
void check_list(const Check& check, const char* name, const Tensors& tensors, const std::vector<InOut>& params,
                bool any_floating) {
  check.require(tensors.size() == params.size(), name, std::to_string(tensors.size()) + " tensors",
                std::to_string(params.size()) + ", as many as params");
  for (size_t i = 0; i < tensors.size(); ++i) {
    const std::string at = element(name, i);
    check.same_shape(at.c_str(), tensors[i], element("params", i).c_str(), params[i]);
    if (any_floating) {
      check.floating(at.c_str(), tensors[i]);
    } else {
      check.dtype(at.c_str(), tensors[i], Dtype::f32);
    }
  }
}

}  // namespace

void check(Adamw& op) {
  const Check check(op);
  for (size_t i = 0; i < op.params.size(); ++i) check.floating(element("params", i).c_str(), op.params[i]);
  check_list(check, "grads", op.grads, op.params, true);
  check_list(check, "expAvg", op.expAvg, op.params, false);
  check_list(check, "expAvgSq", op.expAvgSq, op.params, false);
  if (!op.masters.empty()) check_list(check, "masters", op.masters, op.params, false);
  std::vector<std::pair<std::string, const TensorRef*>> all;
  const auto add = [&](const char* name, const auto& tensors) {
    for (size_t i = 0; i < tensors.size(); ++i) all.emplace_back(element(name, i), &tensors[i]);
  };
  add("params", op.params);
  add("grads", op.grads);
  add("expAvg", op.expAvg);
  add("expAvgSq", op.expAvgSq);
  add("masters", op.masters);
  check.apart(std::move(all));
  if (op.norm) {
    check.shape("norm", *op.norm, {}, "one number");
    check.dtype("norm", *op.norm, Dtype::f32);
  }
  const auto from_zero = [&](const char* name, double value, double end, const char* expected) {
    check.require(value >= 0 && value < end, name, std::to_string(value), expected);
  };
  from_zero("lr", op.lr, HUGE_VAL, "a finite number from 0");
  from_zero("beta1", op.beta1, 1, "a number from 0 to below 1");
  from_zero("beta2", op.beta2, 1, "a number from 0 to below 1");
  from_zero("eps", op.eps, HUGE_VAL, "a finite number from 0");
  from_zero("weightDecay", op.weightDecay, HUGE_VAL, "a finite number from 0");
  check.require(op.step >= 1, "step", std::to_string(op.step), "at least 1, the number of the first step");
}

}  // namespace mglmm
