// The three products of a convolution, by oneDNN: y from x and weight, x's gradient from y's and weight, weight's gradient
// from x and y's. Operands are dense row-major: x [batch, in, height, width], weight [out, in, kernelHeight, kernelWidth],
// y [batch, out, outHeight, outWidth]. All sizes are above 0.
#pragma once
#include <cstdint>

#include "kernels/dtype.h"
#include "kernels/stream.h"
#include "kernels/tensor.h"

namespace mglmm::cpu {

struct ConvolutionSizes {
  int64_t batch, in, height, width;
  int64_t out, kernel_height, kernel_width;
  int64_t out_height, out_width;
  int64_t stride, padding;
  bool operator==(const ConvolutionSizes&) const = default;
};

struct Operand {
  std::byte* data = nullptr;  // null: an operand that is not there
  Dtype dtype = Dtype::f32;
};
inline Operand operand(const TensorRef& tensor) { return {tensor.raw(), tensor.dtype}; }

void convolution(const ConvolutionSizes& sizes, Operand x, Operand weight, Operand bias, Operand y, Stream& stream);
void convolution_of_gradient(const ConvolutionSizes& sizes, Operand dy, Operand weight, Operand dx, Stream& stream);
void convolution_of_weight(const ConvolutionSizes& sizes, Operand dy, Operand x, Operand dweight, Stream& stream);

}  // namespace mglmm::cpu
