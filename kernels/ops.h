// Every op there is, a line each: the binding offers these and a backend must keep all of them (or it does not link).
// clang-format off
#pragma once
#include "kernels/adamw.h"
#include "kernels/add.h"
#include "kernels/argmax.h"
#include "kernels/attention.h"
#include "kernels/attention_cached.h"
#include "kernels/bilinear.h"
#include "kernels/cast.h"
#include "kernels/clip_gradients.h"
#include "kernels/concat.h"
#include "kernels/conv2d.h"
#include "kernels/conv_transpose2d.h"
#include "kernels/copy.h"
#include "kernels/cross_entropy.h"
#include "kernels/dropout.h"
#include "kernels/embedding.h"
#include "kernels/fill.h"
#include "kernels/fourier_encoding.h"
#include "kernels/gather_rows.h"
#include "kernels/gelu.h"
#include "kernels/grad_norm.h"
#include "kernels/layer_norm.h"
#include "kernels/layer_norm_2d.h"
#include "kernels/linear.h"
#include "kernels/linear_cross_entropy.h"
#include "kernels/lora_linear.h"
#include "kernels/mask_bits.h"
#include "kernels/mask_intersections.h"
#include "kernels/mask_loss.h"
#include "kernels/matmul.h"
#include "kernels/mul.h"
#include "kernels/pack.h"
#include "kernels/pack_bits.h"
#include "kernels/permute.h"
#include "kernels/preprocess_image.h"
#include "kernels/quantize.h"
#include "kernels/quantized_linear.h"
#include "kernels/quick_gelu.h"
#include "kernels/random_normal.h"
#include "kernels/random_uniform.h"
#include "kernels/relu.h"
#include "kernels/rle_decode.h"
#include "kernels/rle_encode.h"
#include "kernels/rms_norm.h"
#include "kernels/rope.h"
#include "kernels/sam_attention.h"
#include "kernels/sample_token.h"
#include "kernels/scale.h"
#include "kernels/slice.h"
#include "kernels/softmax.h"
#include "kernels/splice_rows.h"
#include "kernels/sum.h"
#include "kernels/swiglu.h"
#include "kernels/top_k.h"
#include "kernels/upscale_masks.h"
#include "kernels/window_partition.h"

#define MGLMM_OPS(X) \
  X(Adamw) \
  X(Add) \
  X(Argmax) \
  X(Attention) X(AttentionBackward) \
  X(AttentionCached) \
  X(Bilinear) X(BilinearBackward) \
  X(Cast) \
  X(ClipGradients) \
  X(Concat) \
  X(Conv2d) X(Conv2dBackward) \
  X(ConvTranspose2d) X(ConvTranspose2dBackward) \
  X(Copy) \
  X(CrossEntropy) X(CrossEntropyBackward) \
  X(Dropout) X(DropoutBackward) \
  X(Embedding) X(EmbeddingBackward) \
  X(Fill) \
  X(FourierEncoding) \
  X(GatherRows) X(GatherRowsBackward) \
  X(Gelu) X(GeluBackward) \
  X(GradNorm) \
  X(LayerNorm) X(LayerNormBackward) \
  X(LayerNorm2d) X(LayerNorm2dBackward) \
  X(Linear) X(LinearBackward) \
  X(LinearCrossEntropy) X(LinearCrossEntropyBackward) \
  X(LoraLinear) X(LoraLinearBackward) X(AddLoraByRow) X(MergeLora) \
  X(MaskBits) \
  X(MaskIntersections) \
  X(MaskLoss) X(MaskLossBackward) \
  X(Matmul) X(MatmulBackward) \
  X(Mul) X(MulBackward) \
  X(Pack) \
  X(PackBits) \
  X(Permute) \
  X(PreprocessImage) \
  X(Quantize) X(Dequantize) \
  X(QuantizedLinear) X(QuantizedLinearBackward) \
  X(QuickGelu) X(QuickGeluBackward) \
  X(RandomNormal) \
  X(RandomUniform) \
  X(Relu) X(ReluBackward) \
  X(RleDecode) \
  X(RleEncode) \
  X(RmsNorm) X(RmsNormBackward) X(AddRmsNorm) X(AddRmsNormBackward) \
  X(Rope) X(RopeBackward) \
  X(SamAttention) X(SamAttentionBackward) X(SamAttentionPacked) X(SamAttentionPackedBackward) \
  X(SampleToken) \
  X(Scale) \
  X(Slice) X(SliceBackward) \
  X(Softmax) X(SoftmaxBackward) \
  X(SpliceRows) X(SpliceRowsBackward) \
  X(Sum) X(SumBackward) \
  X(Swiglu) X(SwigluBackward) \
  X(TopK) \
  X(Unpack) \
  X(UpscaleMasks) \
  X(WindowPartition) X(WindowUnpartition)

namespace mglmm {

enum class OpIndex : int {
#define MGLMM_INDEX(Op) Op,
  MGLMM_OPS(MGLMM_INDEX)
#undef MGLMM_INDEX
  count
};

template <typename Op>
inline constexpr int op_index = -1;
#define MGLMM_INDEX(Op) template <> inline constexpr int op_index<Op> = static_cast<int>(OpIndex::Op);
MGLMM_OPS(MGLMM_INDEX)
#undef MGLMM_INDEX

}  // namespace mglmm
