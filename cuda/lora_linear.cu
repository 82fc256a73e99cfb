#include "kernels/lora_linear.h"

#include "cuda/map.cuh"
#include "cuda/product.h"

namespace mglmm::cuda {
namespace {

struct Scaled {
  float scaling;
  __device__ float operator()(float x) const { return x * scaling; }
};
struct Corrected {
  float scaling;
  __device__ float operator()(float weight, float correction) const { return weight + correction * scaling; }
};

template <typename Op>
LinearSizes sizes_of(const Op& op) {
  return {op.x.shape.count(0, op.x.shape.rank - 1), op.weight.shape[1], op.weight.shape[0]};
}

// scaling a b, summed and scaled in f32, rounded once to the dtype of the product.
std::byte* scaled_product(CudaStream& stream, Product p, const std::byte* a, const std::byte* b, float scaling) {
  const int64_t count = p.rows * p.columns;
  p.result = Dtype::f32;
  float* sums = stream.scratch_of<float>(count);
  product(stream, p, a, b, nullptr, reinterpret_cast<std::byte*>(sums));
  std::byte* y = stream.scratch(count * size_of(p.dtype));
  by_dtype(p.dtype, [&]<typename T>(Type<T>) { map(stream, count, Scaled{scaling}, reinterpret_cast<T*>(y), sums); });
  return y;
}

// scaling x loraA^T  [rows, rank]
std::byte* lowered(CudaStream& stream, const LinearSizes& s, const ConstTensor& x, const ConstTensor& lora_a,
                   float scaling) {
  const Product p{.rows = s.rows, .columns = lora_a.shape[0], .inner = s.in, .b_transposed = true, .dtype = x.dtype};
  return scaled_product(stream, p, x.raw(), lora_a.raw(), scaling);
}

}  // namespace

void run(const LoraLinear& op, CudaStream& stream) {
  const LinearSizes s = sizes_of(op);
  Product p{
      .rows = s.rows, .columns = s.out, .inner = s.in, .b_transposed = true, .dtype = op.x.dtype, .result = op.x.dtype};
  product(stream, p, op.x.raw(), op.weight.raw(), op.bias ? op.bias->raw() : nullptr, op.y.raw());
  const std::byte* low = lowered(stream, s, op.xDropped ? *op.xDropped : op.x, op.loraA, op.scaling);
  p.inner = op.loraA.shape[0];
  p.addend = op.y.raw();
  product(stream, p, low, op.loraB.raw(), nullptr, op.y.raw());
}

void run(const LoraLinearBackward& op, CudaStream& stream) {
  const LinearSizes s = sizes_of(op);
  const Dtype dtype = op.x.dtype;
  const int64_t rank = op.loraA.shape[0];
  const ConstTensor& x = op.xDropped ? *op.xDropped : op.x;
  const bool through_x = op.dx && !op.xDropped;
  if (op.dx) linear_input_gradient(stream, s, dtype, op.dy.raw(), op.weight.raw(), op.dx.raw());
  if (op.dweight) linear_weight_gradient(stream, s, dtype, op.dy.raw(), op.x.raw(), op.dweight.raw());
  if (op.dbias) linear_bias_gradient(stream, s, dtype, op.dy.raw(), op.dbias.raw());
  if (op.dloraA || op.dxDropped || through_x) {
    const Product to_rank{.rows = s.rows, .columns = rank, .inner = s.out, .dtype = dtype};
    const std::byte* dlow = scaled_product(stream, to_rank, op.dy.raw(), op.loraB.raw(), op.scaling);
    if (op.dloraA) linear_weight_gradient(stream, {s.rows, s.in, rank}, dtype, dlow, x.raw(), op.dloraA.raw());
    Product to_in{.rows = s.rows, .columns = s.in, .inner = rank, .dtype = dtype, .result = dtype};
    if (op.dxDropped) product(stream, to_in, dlow, op.loraA.raw(), nullptr, op.dxDropped.raw());
    if (through_x) {
      to_in.addend = op.dx.raw();
      product(stream, to_in, dlow, op.loraA.raw(), nullptr, op.dx.raw());
    }
  }
  if (op.dloraB) {
    const std::byte* low = lowered(stream, s, x, op.loraA, op.scaling);
    linear_weight_gradient(stream, {s.rows, rank, s.out}, dtype, op.dy.raw(), low, op.dloraB.raw());
  }
}

void run(const MergeLora& op, CudaStream& stream) {
  const int64_t out = op.weight.shape[0];
  const int64_t in = op.weight.shape[1];
  float* correction = stream.scratch_of<float>(out * in);
  product(stream, {.rows = out, .columns = in, .inner = op.loraA.shape[0], .dtype = op.weight.dtype}, op.loraB.raw(),
          op.loraA.raw(), nullptr, reinterpret_cast<std::byte*>(correction));
  by_dtype(op.weight.dtype, [&]<typename T>(Type<T>) {
    map(stream, out * in, Corrected{op.scaling}, op.merged.data<T>(), op.weight.data<T>(), correction);
  });
}

}  // namespace mglmm::cuda
