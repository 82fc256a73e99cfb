// Stand-ins for the instructions of cuda/hopper.cuh, to the layouts that PTX documents. What is asynchronous comes as late
// as it may: a box when its barrier's phase is waited for, a product when it is waited for; until then tile and accumulators
// are poison. A product whose tiles change before it is waited for is an error.
#pragma once
#include <array>

#include "cuda/simulator/tensor_cores.h"

namespace mglmm::simulator {

// What the driver keeps for cuda/tensor_map.h. Sizes and strides, in numbers, from the innermost axis.
struct TensorMap {
  const uint16_t* data;
  std::array<int64_t, 4> sizes, strides;
  int rows;  // of a box
};

// Shared addresses are offsets, from where dynamic shared memory is said to begin.
inline constexpr uint32_t kDynamicAddress = 48;
uint32_t shared_address(const void* memory);

void init_barrier(void* barrier, int arrivals);
void arrive(void* barrier, const Where& where = Where::current());
void expect_bytes(void* barrier, int bytes, const Where& where = Where::current());
void wait(void* barrier, int parity, const Where& where = Where::current());
void load_box(void* to, const TensorMap& map, void* barrier, const int (&at)[4], const Where& where = Where::current());
inline void fence_async() {}
void group_barrier(int id, int threads, const Where& where = Where::current());
void group_arrive(int id, int threads);

template <int count>
void give_registers() {}
template <int count>
void take_registers() {}

// Of one instruction: a is 16-bit numbers of shared memory where `a_matrix` says so, else registers of the warp.
struct Product {
  float* d;
  int columns;
  const uint32_t* a;  // four words, or null
  uint64_t a_matrix, b_matrix;
  bool b_transposed, accumulate;
  float (*value)(uint16_t);
};
void multiply_async(const Product& product, const Where& where);
void fence_products(const Where& where = Where::current());
void commit_products();
void wait_for_products(int pending, const float* d, const Where& where);

template <typename T>
float value_of(uint16_t bits) {
  return half_of<T>(bits, 0);
}
template <typename T, int blocks>
void multiply_async(float (&d)[blocks][4], uint64_t a, uint64_t b, bool accumulate, const Where& where = Where::current()) {
  multiply_async({d[0], 8 * blocks, nullptr, a, b, false, accumulate, value_of<T>}, where);
}
template <typename T, int blocks>
void multiply_async(float (&d)[blocks][4], const uint32_t (&a)[4], uint64_t b, const Where& where = Where::current()) {
  multiply_async({d[0], 8 * blocks, a, 0, b, true, true, value_of<T>}, where);
}
template <int blocks>
void fence_products(float (&)[blocks][4], const Where& where = Where::current()) {
  fence_products(where);
}
template <int blocks, int steps>
void fence_products(float (&)[blocks][4], uint32_t (&)[steps][4], const Where& where = Where::current()) {
  fence_products(where);
}
template <int pending, int blocks>
void wait_for_products(float (&d)[blocks][4], const Where& where = Where::current()) {
  wait_for_products(pending, d[0], where);
}
template <int pending, int blocks, int steps>
void wait_for_products(float (&d)[blocks][4], uint32_t (&)[steps][4], const Where& where = Where::current()) {
  wait_for_products(pending, d[0], where);
}

}  // namespace mglmm::simulator
