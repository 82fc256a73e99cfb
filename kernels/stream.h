// What a kernel is given beside its op: scratch memory that lives until the kernel returns.
#pragma once
#include <cstddef>
#include <cstdint>

namespace mglmm {

struct Stream {
  virtual ~Stream() = default;
  // `bytes` of uninitialised memory, aligned to 64, valid until the op, or a ScratchScope around, ends. Throws
  // OutOfMemoryError.
  virtual std::byte* scratch(int64_t bytes) = 0;
  // How many of these there are, and giving back all but the first `count`.
  virtual size_t scratch_count() const = 0;
  virtual void keep_scratch(size_t count) = 0;
  template <typename T>
  T* scratch_of(int64_t count) {
    return reinterpret_cast<T*>(scratch(count * static_cast<int64_t>(sizeof(T))));
  }
};

// Gives back what scratch memory was asked for while it lives: one step of an op that has many.
class ScratchScope {
 public:
  explicit ScratchScope(Stream& stream) : stream_(stream), count_(stream.scratch_count()) {}
  ScratchScope(const ScratchScope&) = delete;
  ScratchScope& operator=(const ScratchScope&) = delete;
  ~ScratchScope() { stream_.keep_scratch(count_); }

 private:
  Stream& stream_;
  size_t count_;
};

}  // namespace mglmm
