// Matrix products by oneDNN, which is named in cpu/onednn*.cpp only.
#pragma once
#include <compare>
#include <cstdint>

#include "kernels/dtype.h"
#include "kernels/stream.h"

namespace mglmm::cpu {

// y [stack, rows, columns] = a [stack, rows, inner] b [stack, inner, columns] + bias [columns]
struct Product {
  int64_t stack = 1, rows = 0, columns = 0, inner = 0;
  Dtype dtype = Dtype::f32;   // of a, b and bias
  Dtype result = Dtype::f32;  // of y
  bool a_transposed = false;  // a is stored as [stack, inner, rows]
  bool b_transposed = false;  // b is stored as [stack, columns, inner]
  bool b_packed = false;      // b is a packed weight [columns, inner] (kernels/panels.h)
  bool a_shared = false;      // one a, or b, for the whole stack
  bool b_shared = false;
  bool bias = false;
  bool accumulate = false;  // y += instead of y =
  int threads = 1;          // set by multiply()
  // The check takes the 0 that the compiler compares the result with for a pointer.
  auto operator<=>(const Product&) const = default;  // NOLINT(modernize-use-nullptr)
};

// Whether this machine multiplies operands of `dtype` in this order at full speed. f32 in rows: always.
bool can_multiply(Dtype dtype, bool packed);

// All sizes are above 0 and can_multiply(product.dtype, product.b_packed) holds. Inside a parallel region the calling thread
// does it alone and leaves `stream` untouched.
void multiply(Product product, const void* a, const void* b, const void* bias, void* y, Stream& stream);

}  // namespace mglmm::cpu
