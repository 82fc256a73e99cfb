// A device as kernels and the binding see it: its memory, and work on it in one order.
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "kernels/error.h"

namespace mglmm {

struct Storage;

struct MemoryFigures {
  int64_t live_bytes;    // held by tensors
  int64_t peak_bytes;    // most of live_bytes since the last reset
  int64_t cached_bytes;  // freed, kept for reuse
  int64_t mapped_bytes;  // files mapped into memory
  int64_t limit_bytes;   // live_bytes never goes above
};

// A value inside a tensor (an id, a label) that only the device can look at: whether it was right is known once the stream
// has come that far. Whatever was made of it shares the doubt.
struct Doubt {
  bool decided = false;
  std::optional<Error> error;  // once decided: what was wrong, if anything
};
using Doubts = std::vector<std::shared_ptr<Doubt>>;

// Work that was collected once and is enqueued again and again by one call.
struct Graph {
  virtual ~Graph() = default;
  // Adds what becomes doubtful to the stream's `doubts`.
  virtual void launch() = 0;
};

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

  // Gives `storage` its memory, in stream order, if it has none yet. Throws OutOfMemoryError, with the figures.
  virtual void allocate(Storage& storage) = 0;
  // Between host memory and the stream's, after all that was enqueued. When they return `from` may change, `to` is filled.
  virtual void upload(std::byte* to, const std::byte* from, int64_t bytes) = 0;
  virtual void download(std::byte* to, const std::byte* from, int64_t bytes) = 0;
  // Waits until all that was enqueued is done, and every doubt decided.
  virtual void synchronize() = 0;
  // Nothing is enqueued for a while: what others released is theirs to take.
  virtual void settle() {}

  // Collects what `body` enqueues instead of running it. Null on a device that cannot. What has to be waited for throws
  // within.
  virtual std::unique_ptr<Graph> capture(const std::function<void()>& body) {
    static_cast<void>(body);
    return nullptr;
  }

  virtual MemoryFigures memory() const = 0;  // any thread
  virtual void reset_peak() = 0;
  virtual void set_memory_limit(int64_t bytes) = 0;
  virtual void trim_memory() = 0;
  // Whether products of f32 may round what they read to 10 bits of mantissa (TF32), on a device that is faster so.
  virtual void allow_tf32(bool allowed) { static_cast<void>(allowed); }

  // Of the op that is running: those of what it reads, and its own.
  Doubts doubts;
  // The first doubt that turned out well-founded, until somebody takes it.
  std::optional<Error> confirmed;
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
