// The angles of rotary positions (kernels/rope.h) and the turn by them: for rope, and for attention that turns the tokens it
// appends to a cache.
#pragma once
#include <cstddef>
#include <cstdint>

#include "kernels/dtype.h"
#include "kernels/stream.h"

namespace mglmm::cpu {

class Rotation {
 public:
  // Of heads of `head_dim` numbers, with scratch of `stream` for each thread.
  Rotation(int64_t head_dim, double base, Stream& stream);

  // Cosines and sines in the calling thread's memory, good until it asks again.
  struct Angles {
    const float *cos, *sin;
  };
  // @param direction - 1, or -1 to turn back.
  Angles at(int32_t position, float direction = 1) const;

  // `count` heads of a token, which lie `stride` numbers apart.
  void turn(const Angles& angles, Dtype dtype, int64_t count, const std::byte* from, int64_t from_stride, std::byte* to,
            int64_t to_stride) const;

 private:
  int64_t half_, padded_;  // pairs; up to whole vectors
  const float* frequencies_;
  float* angles_;  // [threads][2][padded]
};

}  // namespace mglmm::cpu
