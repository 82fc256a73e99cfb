// The packed order of a weight [out, in], one for each dtype, read by oneDNN and by our own one-row product alike: panels of
// 64 outputs, outermost; in a panel the inputs in order, each with its 64 outputs side by side. f32 and f16: [out / 64]
// [in][64], `in` padded to 16 (oneDNN's BA16a64b). bf16 keeps pairs of inputs together, as its dot instructions take them:
// [out / 64][in / 2][64][2], `in` padded to 32 (BA16a64b2a). Padding is 0.
#pragma once
#include <cstdint>

#include "kernels/dtype.h"
#include "kernels/shape.h"

namespace mglmm {

inline constexpr int64_t kPanel = 64;  // outputs side by side

constexpr int64_t round_up(int64_t value, int64_t multiple) { return (value + multiple - 1) / multiple * multiple; }
// `in` with its padding.
constexpr int64_t packed_in(int64_t in, Dtype dtype) { return round_up(in, dtype == Dtype::bf16 ? 32 : 16); }
// Of a whole weight [out, in].
inline int64_t packed_bytes(const Shape& shape, Dtype dtype) {
  return round_up(shape[0], kPanel) * packed_in(shape[1], dtype) * size_of(dtype);
}

}  // namespace mglmm
