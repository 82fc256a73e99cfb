#include "kernels/cast.h"

#include <cstring>
#include <type_traits>

#include "cpu/parallel.h"
#include "cpu/simd.h"
#include "kernels/stream.h"

namespace mglmm::cpu {
namespace {

using vbyte = uint8_t __attribute__((vector_size(kLanes)));

vfloat load(const int32_t* p) {
  vint v;
  std::memcpy(&v, p, sizeof v);
  return __builtin_convertvector(v, vfloat);
}
vfloat load(const uint8_t* p) {
  vbyte v;
  std::memcpy(&v, p, sizeof v);
  return __builtin_convertvector(__builtin_convertvector(v, vint), vfloat);
}
void store(int32_t* p, vfloat value) {
  // 2147483520 is the largest f32 below 2^31.
  const vfloat clamped = max(min(value, splat(2147483520.0F)), splat(-2147483648.0F));
  const vint truncated = __builtin_convertvector(value == value ? clamped : splat(0), vint);
  const vint v = value >= 2147483648.0F ? vint{} + 2147483647 : truncated;
  std::memcpy(p, &v, sizeof v);
}
void store(uint8_t* p, vfloat value) {
  const vfloat clamped = max(min(value, splat(255.0F)), splat(0));
  const vbyte v = __builtin_convertvector(__builtin_convertvector(value == value ? clamped : splat(0), vint), vbyte);
  std::memcpy(p, &v, sizeof v);
}
using cpu::load;
using cpu::store;

template <typename To>
void put(To* p, vfloat value) {
  if constexpr (std::is_same_v<To, bf16>) {  // exact below 2^-126, too, where other ops may give 0
    const vhalf half = rounded_to_bf16(value);
    std::memcpy(static_cast<void*>(p), &half, sizeof half);
  } else {
    store(p, value);
  }
}

template <typename Body>
void by_any_dtype(Dtype dtype, Body&& body) {
  switch (dtype) {
    case Dtype::i32: return body(Type<int32_t>{});
    case Dtype::u8: return body(Type<uint8_t>{});
    default: return by_dtype(dtype, body);
  }
}

}  // namespace

void run(const Cast& op, Stream&) {
  const int64_t count = op.y.count();
  if (op.x.dtype == op.dtype) {
    if (count > 0) std::memcpy(op.y.raw(), op.x.raw(), static_cast<size_t>(op.y.bytes()));
    return;
  }
  by_any_dtype(op.x.dtype, [&]<typename From>(Type<From>) {
    by_any_dtype(op.dtype, [&]<typename To>(Type<To>) {
      const From* x = op.x.data<From>();
      To* y = op.y.data<To>();
      parallel_ranges(count, kElementGrain, [=](int64_t begin, int64_t end) {
        int64_t i = begin;
        for (; i + kLanes <= end; i += kLanes) put(y + i, load(x + i));
        if (i == end) return;
        From from[kLanes] = {};
        To to[kLanes];
        std::memcpy(static_cast<void*>(from), x + i, static_cast<size_t>(end - i) * sizeof(From));
        put(to, load(from));
        std::memcpy(static_cast<void*>(y + i), to, static_cast<size_t>(end - i) * sizeof(To));
      });
    });
  });
}

}  // namespace mglmm::cpu
