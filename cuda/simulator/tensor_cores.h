// Stand-ins for the instructions of cuda/tensor_cores.cuh, which says how fragments lie. A copy happens when it is waited
// for, so that a kernel that reads too early reads what was there before.
#pragma once
#include "cuda/simulator/device.h"
#include "kernels/dtype.h"

namespace mglmm::simulator {

template <typename T>
uint32_t pair_of(T low, T high) {
  static_assert(sizeof(T) == 2);
  uint32_t word = 0;
  std::memcpy(&word, &low, sizeof low);
  std::memcpy(reinterpret_cast<std::byte*>(&word) + sizeof low, &high, sizeof high);
  return word;
}

template <typename T>
float half_of(uint32_t word, size_t which) {
  T value;
  std::memcpy(&value, reinterpret_cast<const std::byte*>(&word) + which * sizeof value, sizeof value);
  return static_cast<float>(value);
}

inline float power_of_2(float x) {
  const float power = std::exp2(x);
  return power < 0x1p-126F ? 0.0F : power;
}

struct Fragments {
  uint32_t a[4], b[2];
};

template <typename T>
void multiply_add(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], const Where& where = Where::current()) {
  const Fragments own{{a[0], a[1], a[2], a[3]}, {b[0], b[1]}};
  const auto all = exchange(0xffffffff, reinterpret_cast<uintptr_t>(&own), where);
  const auto of = [&](size_t lane) -> const Fragments& { return *reinterpret_cast<const Fragments*>(all[lane]); };
  const auto self = static_cast<size_t>(lane());
  const size_t g = self / 4;
  const size_t t = self % 4;
  for (size_t i = 0; i < 4; ++i) {
    const size_t column = 2 * t + i % 2;
    for (size_t k = 0; k < 16; ++k) {
      const uint32_t left = of(4 * g + k / 2 % 4).a[i / 2 + 2 * (k / 8)];
      const uint32_t right = of(4 * column + k / 2 % 4).b[k / 8];
      d[i] += half_of<T>(left, k % 2) * half_of<T>(right, k % 2);
    }
  }
  exchange(0xffffffff, 0, where);  // others may still read this lane's
}

void load_matrices(uint32_t (&to)[4], const void* row, const Where& where = Where::current());
void load_matrices_transposed(uint32_t (&to)[4], const void* row, const Where& where = Where::current());

void copy_async(void* to, const void* from, bool exists, const Where& where = Where::current());
void commit_copies();
void wait_for_copies(int pending);
template <int pending>
void wait_for_copies() {
  wait_for_copies(pending);
}

}  // namespace mglmm::simulator
