#include "kernels/fill.h"

#include <cmath>

#include "kernels/check.h"

namespace mglmm {

void check(Fill& op) {
  const Check check(op);
  if (!is_floating(op.dtype)) {
    const bool is_byte = op.dtype == Dtype::u8;
    const double lowest = is_byte ? 0 : -2147483648.0;
    const double highest = is_byte ? 255 : 2147483647.0;
    check.require(op.value == std::floor(op.value) && op.value >= lowest && op.value <= highest, "value",
                  Check::number(op.value), is_byte ? "an integer from 0 to 255 for u8" : "an integer of 32 bits for i32");
  }
  check.output("y", op.y, op.shape, op.dtype);
}

}  // namespace mglmm
