// Ops that have no kernel on the GPU yet: calling one there is a DeviceError that names op and device. One that gets a
// kernel leaves this list, or the library does not link; test/cuda/missing.test.ts shows it.
// clang-format off
#pragma once

#define MGLMM_CUDA_MISSING(X) \
  X(Quantize) X(Dequantize) \
  X(QuantizedLinear) X(QuantizedLinearBackward) \
  X(RleDecode) \
  X(RleEncode) \
  X(UpscaleMasks)
