#include "kernels/random_uniform.h"

#include "kernels/check.h"

namespace mglmm {

void check(RandomUniform& op) {
  const Check check(op);
  check.require(is_floating(op.dtype), "dtype", to_string(op.dtype), "f32, bf16 or f16");
  check.require(op.seed >= 0, "seed", std::to_string(op.seed), "at least 0");
  check.require(op.offset >= 0, "offset", std::to_string(op.offset), "at least 0");
  check.finite("low", op.low);
  check.finite("high", op.high);
  check.output("y", op.y, op.shape, op.dtype);
}

}  // namespace mglmm
