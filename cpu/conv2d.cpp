#include "kernels/conv2d.h"

#include <algorithm>
#include <cstring>

#include "cpu/channel_sums.h"
#include "cpu/onednn_convolution.h"
#include "kernels/stream.h"

namespace mglmm::cpu {
namespace {

template <typename Op>
ConvolutionSizes sizes_of(const Op& op, const Shape& y) {
  const Shape& x = op.x.shape;
  const Shape& weight = op.weight.shape;
  // A stride beyond the image takes one step all the same; bounded, it stays within oneDNN's 32 bits.
  const int64_t stride = std::min(op.stride, std::max(x[2], x[3]) + 2 * op.padding);
  return {x[0], x[1], x[2], x[3], weight[0], weight[2], weight[3], y[2], y[3], stride, op.padding};
}

// No channels in: each output is its bias.
void fill_with_bias(const Conv2d& op) {
  by_dtype(op.y.dtype, [&]<typename T>(Type<T>) {
    const T* bias = op.bias ? op.bias->data<T>() : nullptr;
    const int64_t channels = op.y.shape[1];
    const int64_t pixels = op.y.shape[2] * op.y.shape[3];
    T* y = op.y.data<T>();
    for (int64_t i = 0; i < op.y.count(); ++i) y[i] = bias ? bias[i / pixels % channels] : T(0.0F);
  });
}

void fill_with_zeros(const Tensor& tensor) {
  if (tensor.bytes() > 0) std::memset(tensor.raw(), 0, static_cast<size_t>(tensor.bytes()));
}

}  // namespace

void run(const Conv2d& op, Stream& stream) {
  if (op.y.count() == 0) return;
  if (op.x.count() == 0) return fill_with_bias(op);
  const Operand bias = op.bias ? operand(*op.bias) : Operand{};
  convolution(sizes_of(op, op.y.shape), operand(op.x), operand(op.weight), bias, operand(op.y), stream);
}

void run(const Conv2dBackward& op, Stream& stream) {
  const bool empty = op.dy.count() == 0 || op.x.count() == 0;
  const ConvolutionSizes sizes = sizes_of(op, op.dy.shape);
  if (op.dx) {
    if (empty)
      fill_with_zeros(op.dx);
    else
      convolution_of_gradient(sizes, operand(op.dy), operand(op.weight), operand(op.dx), stream);
  }
  if (op.dweight) {
    if (empty)
      fill_with_zeros(op.dweight);
    else
      convolution_of_weight(sizes, operand(op.dy), operand(op.x), operand(op.dweight), stream);
  }
  if (op.dbias) {
    by_dtype(op.dy.dtype, [&]<typename T>(Type<T>) {
      sum_channels(op.dy.data<T>(), sizes.batch, sizes.out, sizes.out_height * sizes.out_width, op.dbias.data<T>());
    });
  }
}

}  // namespace mglmm::cpu
