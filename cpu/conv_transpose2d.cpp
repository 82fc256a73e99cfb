// The gradient of a convolution with stride = kernel, and its gradients are that convolution's two other products.
#include "kernels/conv_transpose2d.h"

#include <cstring>

#include "cpu/channel_sums.h"
#include "cpu/onednn_convolution.h"
#include "kernels/stream.h"

namespace mglmm::cpu {
namespace {

// The convolution that takes y to x: its image is y.
ConvolutionSizes sizes_of(const Shape& x, const Shape& weight, const Shape& y) {
  return {y[0], y[1], y[2], y[3], weight[0], weight[2], weight[3], x[2], x[3], weight[2], 0};
}

void fill_with_zeros(const Tensor& tensor) {
  if (tensor.bytes() > 0) std::memset(tensor.raw(), 0, static_cast<size_t>(tensor.bytes()));
}

// y = sums + bias, rounded once.
template <typename T>
void add_bias(const float* sums, const T* bias, int64_t planes, int64_t channels, int64_t pixels, T* y) {
  parallel_ranges(planes, kElementGrain / pixels + 1, [=](int64_t begin, int64_t end) {
    for (int64_t plane = begin; plane < end; ++plane) {
      const vfloat shift = splat(bias ? static_cast<float>(bias[plane % channels]) : 0.0F);
      by_lanes(plane * pixels, (plane + 1) * pixels,
               [=](int64_t i, auto... lanes) { store(y + i, load(sums + i, lanes...) + shift, lanes...); });
    }
  });
}

}  // namespace

void run(const ConvTranspose2d& op, Stream& stream) {
  if (op.y.count() == 0) return;
  const ConvolutionSizes sizes = sizes_of(op.x.shape, op.weight.shape, op.y.shape);
  by_dtype(op.y.dtype, [&]<typename T>(Type<T>) {
    float* sums = std::same_as<T, float> ? reinterpret_cast<float*>(op.y.raw()) : stream.scratch_of<float>(op.y.count());
    if (op.x.count() == 0) {
      std::memset(sums, 0, static_cast<size_t>(op.y.count()) * sizeof(float));
    } else {
      convolution_of_gradient(sizes, operand(op.x), operand(op.weight), {reinterpret_cast<std::byte*>(sums), Dtype::f32},
                              stream);
    }
    if (!op.bias && std::same_as<T, float>) return;
    add_bias(sums, op.bias ? op.bias->data<T>() : nullptr, sizes.batch * sizes.in, sizes.in, sizes.height * sizes.width,
             op.y.data<T>());
  });
}

void run(const ConvTranspose2dBackward& op, Stream& stream) {
  const bool empty = op.dy.count() == 0 || op.x.count() == 0;
  const ConvolutionSizes sizes = sizes_of(op.x.shape, op.weight.shape, op.dy.shape);
  if (op.dx) {
    if (empty)
      fill_with_zeros(op.dx);
    else
      convolution(sizes, operand(op.dy), operand(op.weight), {}, operand(op.dx), stream);
  }
  if (op.dweight) {
    if (empty)
      fill_with_zeros(op.dweight);
    else
      convolution_of_weight(sizes, operand(op.x), operand(op.dy), operand(op.dweight), stream);
  }
  if (op.dbias) {
    by_dtype(op.dy.dtype, [&]<typename T>(Type<T>) {
      sum_channels(op.dy.data<T>(), sizes.batch, sizes.in, sizes.height * sizes.width, op.dbias.data<T>());
    });
  }
}

}  // namespace mglmm::cpu
