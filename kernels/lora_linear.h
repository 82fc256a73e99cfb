// y = x weight^T + bias + scaling (x loraA^T) loraB^T: a dense layer with a trained correction of low rank. Hu et al. 2021,
// arXiv 2106.09685. Sums in f32; in bf16 and f16 the correction is added to the rounded layer.
#pragma once
#include <vector>

#include "kernels/fields.h"
#include "kernels/tensor.h"

namespace mglmm {

struct LoraLinear {
  ConstTensor x;         // [..., in]  f32 | bf16 | f16
  Weight weight;         // [out, in]  dtype of x, rows or packed
  ConstTensor loraA;     // [rank, in]  dtype of x
  ConstTensor loraB;     // [out, rank]  dtype of x
  MaybeTensor bias;      // [out]  dtype of x
  MaybeTensor xDropped;  // shape and dtype of x: what the correction reads instead, x after dropout
  float scaling = 1;
  Tensor y;  // [..., out]  dtype of x
  MGLMM_OP(loraLinear, x, weight, loraA, loraB, bias, xDropped, scaling, y)
};

struct LoraLinearBackward {
  ConstTensor dy;  // [..., out]  dtype of x
  ConstTensor x;   // [..., in]
  Weight weight;   // [out, in]
  ConstTensor loraA;
  ConstTensor loraB;
  MaybeTensor xDropped;
  float scaling = 1;
  Tensor dx;         // dy weight, and scaling (dy loraB) loraA unless that is dxDropped's
  Tensor dweight;    // dy^T x; not of a packed weight
  Tensor dloraA;     // scaling (dy loraB)^T x
  Tensor dloraB;     // scaling dy^T (x loraA^T)
  Tensor dbias;      // the sum of dy's rows
  Tensor dxDropped;  // scaling (dy loraB) loraA
  MGLMM_OP(loraLinearBackward, dy, x, weight, loraA, loraB, xDropped, scaling, dx, dweight, dloraA, dloraB, dbias, dxDropped)
};

// y = layer + scalings[a] (x loraA[a]^T) loraB[a]^T, where a is the adapter of a row: what one layer gave for requests to
// several adapters, each row corrected by its own. Rounded as loraLinear rounds. Chen et al. 2023, arXiv 2310.18547.
struct AddLoraByRow {
  ConstTensor layer;               // [batch, ..., out]  f32 | bf16 | f16: x through the layer that all have in common
  ConstTensor x;                   // [batch, ..., in]  dtype of layer
  std::vector<ConstTensor> loraA;  // [rank, in] each, of any rank  dtype of layer
  std::vector<ConstTensor> loraB;  // [out, rank] each  dtype of layer
  std::vector<double> scalings;    // one each
  std::vector<int64_t> adapters;   // of each of the batch: its place in these lists, or -1 for none
  Tensor y;                        // [batch, ..., out]  dtype of layer
  MGLMM_OP(addLoraByRow, layer, x, loraA, loraB, scalings, adapters, y)
};

// weight + scaling loraB loraA: the correction taken up into the weight, rounded once.
struct MergeLora {
  ConstTensor weight;  // [out, in]  f32 | bf16 | f16
  ConstTensor loraA;   // [rank, in]  dtype of weight
  ConstTensor loraB;   // [out, rank]  dtype of weight
  float scaling = 1;
  Tensor merged;  // [out, in]  dtype of weight
  MGLMM_OP(mergeLora, weight, loraA, loraB, scaling, merged)
};

void check(LoraLinear& op);
void check(LoraLinearBackward& op);
void check(AddLoraByRow& op);
void check(MergeLora& op);

}  // namespace mglmm
