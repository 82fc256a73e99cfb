#include "cuda/simulator/tensor_cores.h"

namespace mglmm::simulator {
namespace {

using Lanes = std::array<uint64_t, kWarp>;

Lanes rows_of(const void* row, const Where& where) {
  const auto address = reinterpret_cast<uintptr_t>(row);
  if (address % 16 != 0) fail("a row of a matrix is not aligned to 16 bytes", where);
  return exchange(0xffffffff, address, where);
}

uint16_t number_at(const Lanes& rows, size_t matrix, size_t row, size_t column) {
  uint16_t number = 0;
  std::memcpy(&number, reinterpret_cast<const std::byte*>(rows[8 * matrix + row]) + 2 * column, sizeof number);
  return number;
}

}  // namespace

void load_matrices(uint32_t (&to)[4], const void* row, const Where& where) {
  const Lanes rows = rows_of(row, where);
  const auto self = static_cast<size_t>(lane());
  for (size_t matrix = 0; matrix < 4; ++matrix) {
    to[matrix] =
        pair_of(number_at(rows, matrix, self / 4, 2 * (self % 4)), number_at(rows, matrix, self / 4, 2 * (self % 4) + 1));
  }
}

void load_matrices_transposed(uint32_t (&to)[4], const void* row, const Where& where) {
  const Lanes rows = rows_of(row, where);
  const auto self = static_cast<size_t>(lane());
  for (size_t matrix = 0; matrix < 4; ++matrix) {
    to[matrix] =
        pair_of(number_at(rows, matrix, 2 * (self % 4), self / 4), number_at(rows, matrix, 2 * (self % 4) + 1, self / 4));
  }
}

void copy_async(void* to, const void* from, bool exists, const Where& where) {
  if (reinterpret_cast<uintptr_t>(to) % 16 != 0 || (exists && reinterpret_cast<uintptr_t>(from) % 16 != 0))
    fail("an asynchronous copy is not aligned to 16 bytes", where);
  copies().push_back({to, exists ? from : nullptr, -1});
}

void commit_copies() {
  auto& groups = copies();
  for (Copy& copy : groups) ++copy.age;
}

void wait_for_copies(int pending) {
  auto& groups = copies();
  std::erase_if(groups, [&](const Copy& copy) {
    if (copy.age < pending) return false;
    if (copy.from != nullptr)
      std::memcpy(copy.to, copy.from, 16);
    else
      std::memset(copy.to, 0, 16);
    return true;
  });
}

}  // namespace mglmm::simulator
