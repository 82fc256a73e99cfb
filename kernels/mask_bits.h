// Masks of a segmentation network as bits at the size of the picture: low-resolution logits are resized to the square input
// (bilinear), cut to the part of it that is picture, resized to the picture (bilinear), and compared with `threshold`. The
// bits are those of packBits(bilinear(bilinear(logits, inputSize, inputSize) cut to resized, height, width)), none of which
// is made. Kirillov et al. 2023, https://arxiv.org/abs/2304.02643, postprocess_masks.
#pragma once
#include "kernels/fields.h"
#include "kernels/tensor.h"

namespace mglmm {

struct MaskBits {
  ConstTensor logits;         // [..., lowHeight, lowWidth]  f32 | bf16 | f16
  int64_t inputSize = 0;      // a side of the network's input, in pixels
  int64_t resizedHeight = 0;  // of the input, from its upper left corner, what is picture
  int64_t resizedWidth = 0;
  int64_t height = 0;  // of the picture
  int64_t width = 0;
  double threshold = 0;  // a pixel is set where its logit is above; NaN is not
  Tensor bits;           // [..., height, 8 ceil(width / 64)]  u8, as op packBits gives them
  MGLMM_OP(maskBits, logits, inputSize, resizedHeight, resizedWidth, height, width, threshold, bits)
};

void check(MaskBits& op);

}  // namespace mglmm
