// A CUDA stream as the contract's Stream: memory in the order of the work on it, copies through pinned memory on a stream of
// their own, and questions whose answers only the device knows.
#pragma once
#include <array>
#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#if defined(MGLMM_SIMULATED)
#include "cuda/simulator/runtime.h"
#else
#include <cuda_runtime.h>
#endif
#include "kernels/error.h"
#include "kernels/stream.h"
#include "kernels/tensor.h"

namespace mglmm::cuda {

// Throws KernelError for a call that failed. `what` is what was tried.
void expect(cudaError_t error, const char* what);

// Why a device cannot run what is compiled in, if it cannot.
std::optional<std::string> lacking_code(int device);

struct MemoryRange {
  const std::byte* begin;
  int64_t bytes;
  bool meets(const MemoryRange& other) const {
    return bytes > 0 && other.bytes > 0 && begin < other.begin + other.bytes && other.begin < begin + bytes;
  }
};

// What a graph's kernels have for themselves: taken when it was captured, kept as long as it lives. What one of them is done
// with is there for those behind it, so that no allocation is a step of the graph, and its kernels follow one another.
struct GraphMemory {
  std::multimap<int64_t, std::byte*> free;  // by size
  std::vector<MemoryRange> taken;           // all there ever was
};

// The memory of one stream. Tensors keep it alive: they may be freed after the stream is gone.
class Pool {
 public:
  explicit Pool(int device);
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;
  ~Pool();

  std::byte* allocate(int64_t bytes);  // throws OutOfMemoryError
  // Any thread. The stream's own frees it before it allocates again: the device of others may be another, and what they free
  // must not get into a graph that is being captured.
  void release(std::byte* memory, int64_t bytes);
  void trim();
  void free_released();           // what was released, in the order of the stream
  void bind() const;              // makes its device that of the thread, which may be JavaScript's
  MemoryFigures figures() const;  // any thread
  // Between them what this thread allocates comes from a graph's memory, and what it releases goes there.
  void begin_capture(GraphMemory& memory);
  void end_capture();
  void free(GraphMemory& memory);  // what it holds, in the order of the stream

  // What `call` gives; if that is too little memory, what it gives once free memory has gone back to the driver.
  template <typename Call>
  cudaError_t with_room(Call&& call) {
    const cudaError_t error = call();
    if (error != cudaErrorMemoryAllocation) return error;
    cudaGetLastError();  // it is dealt with
    trim();
    return call();
  }
  // As expect(); throws OutOfMemoryError where memory is what was missing.
  void expect_room(cudaError_t error, const char* what) const;

  cudaStream_t stream = nullptr;
  std::atomic<int64_t> live{0}, peak{0}, limit{0};

 private:
  std::byte* allocate_captured(int64_t bytes);
  std::string used() const;  // of what device, and how much

  int device_;
  cudaMemPool_t pool_ = nullptr;
  cudaStream_t aside_ = nullptr;  // that is never captured
  std::mutex mutex_;
  std::vector<std::byte*> waiting_;  // released, not yet freed; under mutex_
};

// What a kernel finds wrong with the values of a tensor: the first place, and the value there. No other word may be in it.
using Refusal = unsigned long long;
inline constexpr Refusal kNothingRefused = ~0ULL;

class CudaStream;

// What is yet to be launched.
class HeldWork {
 public:
  virtual ~HeldWork() = default;
  virtual void launch(CudaStream& stream) = 0;
  virtual bool touches(const MemoryRange& memory) const = 0;
};

class CudaGraph;

class CudaStream final : public Stream {
 public:
  explicit CudaStream(int device);  // of the calling thread; throws DeviceError
  CudaStream(const CudaStream&) = delete;
  CudaStream& operator=(const CudaStream&) = delete;
  ~CudaStream() override;

  std::byte* scratch(int64_t bytes) override;
  size_t scratch_count() const override { return scratch_.size(); }
  void keep_scratch(size_t count) override;
  void allocate(Storage& storage) override;
  void upload(std::byte* to, const std::byte* from, int64_t bytes) override;
  void download(std::byte* to, const std::byte* from, int64_t bytes) override;
  void synchronize() override;
  void settle() override {
    if (!is_captured()) pool_->free_released();
  }
  std::unique_ptr<Graph> capture(const std::function<void()>& body) override;
  MemoryFigures memory() const override { return pool_->figures(); }
  void reset_peak() override { pool_->peak = pool_->live.load(); }
  void set_memory_limit(int64_t bytes) override { pool_->limit = bytes; }
  void trim_memory() override;
  void allow_tf32(bool allowed) override { tf32_ = allowed; }

  // For all that is enqueued: it comes behind what was held back.
  cudaStream_t handle() {
    launch_held();
    return pool_->stream;
  }
  // As expect() of what `call` gives, which enqueues. If memory is missing, as that of a kernel which is launched for the
  // first time, it is called again once free memory has gone back to the driver; in a graph it is not, for that waits.
  template <typename Call>
  void expect_enqueued(Call&& call, const char* what) {
    pool_->expect_room(is_captured() ? call() : pool_->with_room(call), what);
  }
  // In a graph, until something else is enqueued, so that the next op may add to it; else it is launched at once.
  void hold(std::unique_ptr<HeldWork> work);
  HeldWork* held() const { return held_.get(); }  // or null
  const std::shared_ptr<Pool>& pool() const { return pool_; }
  int processors() const { return processors_; }
  int shared_bytes() const { return shared_bytes_; }  // of a multiprocessor
  // Whether the device runs what is compiled for sm_90a, and that is compiled in: cuda/hopper.cuh.
  bool is_hopper() const { return is_hopper_; }
  bool tf32() const { return tf32_; }
  bool is_captured() const { return graph_ != nullptr; }
  // Whether memory has, before what is in front of a kernel that is enqueued now is done, what it will have when that is: in
  // a graph, where it is not the graph's own, and no op makes or changes it.
  bool is_settled(const MemoryRange& memory) const;
  void note_made(const TensorRef& tensor);  // by an op, or changed
  void clear(void* memory, int64_t bytes);  // zeros
  void copy(void* to, const void* from, int64_t bytes);
  // A table of the host, as scratch memory.
  template <typename T>
  const T* table(const std::vector<T>& rows) {
    T* memory = scratch_of<T>(static_cast<int64_t>(rows.size()));
    upload(reinterpret_cast<std::byte*>(memory), reinterpret_cast<const std::byte*>(rows.data()),
           static_cast<int64_t>(rows.size() * sizeof(T)));
    return memory;
  }

  // A word for kernels of this op to put what they refuse; then, once they are launched, what is to become of it.
  Refusal* question();
  using Complaint = std::function<Error(int64_t place, int32_t value)>;
  void doubt(const Refusal* word, Complaint complaint);
  // Waits for answers if there would be too many open doubts with `count` more.
  void make_room_for_doubts(size_t count);
  // The doubt of an answer that comes into pinned memory when the stream has come that far. Room has been made for it.
  std::shared_ptr<Doubt> await(std::shared_ptr<const Refusal> answer, Complaint complaint);
  void clear_refusals(Refusal* words, size_t bytes);

 private:
  struct Block {
    std::byte* memory;
    int64_t bytes;
  };
  struct Open {
    std::shared_ptr<Doubt> doubt;
    Complaint complaint;
    std::shared_ptr<const Refusal> answer;  // in pinned memory, which may be that of a graph
  };
  void decide();
  void launch_held();
  std::byte* take(int64_t bytes);
  std::byte* small_place(int64_t bytes);

  std::shared_ptr<Pool> pool_;
  cudaStream_t copies_ = nullptr;
  cudaEvent_t computed_ = nullptr, copied_ = nullptr;
  std::byte* pinned_ = nullptr;
  Refusal* answers_ = nullptr;
  std::vector<Block> scratch_;
  std::vector<Open> open_;
  int processors_ = 1;
  int shared_bytes_ = 0;
  bool is_hopper_ = false;
  CudaGraph* graph_ = nullptr;  // that is being captured
  std::unique_ptr<HeldWork> held_;
  bool tf32_ = false;
  std::byte* small_ = nullptr;               // pinned, two halves for small copies
  std::array<cudaEvent_t, 2> small_left_{};  // when the copies out of a half are done
  int64_t small_used_ = 0;                   // bytes of the half that is written
  size_t small_half_ = 0;
  std::array<cudaEvent_t, 2> large_left_{};  // the same of the two halves of large ones
};

}  // namespace mglmm::cuda
