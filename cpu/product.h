// Matrix products of any dtype and size: in the operands' own dtype where oneDNN or a kernel of ours has that, else in f32
// through scratch memory (f16 everywhere, bf16 on processors without its dot instructions).
#pragma once
#include <functional>

#include "cpu/onednn.h"
#include "kernels/stream.h"
#include "kernels/tensor.h"

namespace mglmm::cpu {

// Copies with a change of dtype, over the stream's threads.
void widen(const std::byte* from, Dtype dtype, float* to, int64_t count);
void narrow(const float* from, std::byte* to, Dtype dtype, int64_t count);

// As multiply(), for all dtypes and sizes; b in rows. Nothing to sum gives 0, or bias.
void product(const Product& product, const std::byte* a, const std::byte* b, const std::byte* bias, std::byte* y,
             Stream& stream);

struct LinearSizes {
  int64_t rows, in, out;
};

// y [rows, out] = x [rows, in] weight^T + bias + residual, rounded once; all of one dtype. `bias` and `residual` [rows, out]
// may be null.
void linear_product(const LinearSizes& sizes, Dtype dtype, const std::byte* x, const TensorRef& weight,
                    const std::byte* bias, const std::byte* residual, std::byte* y, Stream& stream);
// dx [rows, in] = dy [rows, out] weight
void linear_input_gradient(const LinearSizes& sizes, Dtype dtype, const std::byte* dy, const TensorRef& weight,
                           std::byte* dx, Stream& stream);
// dweight [out, in] = dy^T x
void linear_weight_gradient(const LinearSizes& sizes, Dtype dtype, const std::byte* dy, const std::byte* x,
                            std::byte* dweight, Stream& stream);
// dbias [out]: the sum of dy's rows
void linear_bias_gradient(const LinearSizes& sizes, Dtype dtype, const std::byte* dy, std::byte* dbias);

// linear_product over a weight that is made panel by panel (kernels/panels.h): `expand(first, count, to)` writes `count`
// panels from `first` on to `to`, in the packed order of `panel_dtype`. With `accumulate` y is added to.
using Expand = std::function<void(int64_t first, int64_t count, std::byte* to)>;
void product_of_panels(const LinearSizes& sizes, Dtype dtype, const std::byte* x, Dtype panel_dtype, const Expand& expand,
                       const std::byte* bias, std::byte* y, bool accumulate, Stream& stream);

}  // namespace mglmm::cpu
