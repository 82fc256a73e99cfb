// What a kernel is given beside its op: scratch memory that lives until the kernel returns.
#pragma once
#include <cstddef>
#include <cstdint>

namespace mglmm {

struct Stream {
  virtual ~Stream() = default;
  // `bytes` of uninitialised memory, aligned to 64, valid until the op ends. Throws OutOfMemoryError.
  virtual std::byte* scratch(int64_t bytes) = 0;
  template <typename T>
  T* scratch_of(int64_t count) {
    return reinterpret_cast<T*>(scratch(count * static_cast<int64_t>(sizeof(T))));
  }
};

}  // namespace mglmm
