#include "cuda/stream.h"

#include <algorithm>
#include <cstring>
#include <exception>
#include <string>
#include <utility>

#include "cuda/architectures.h"
#include "cuda/graph.h"

namespace mglmm::cuda {
namespace {

// Pinned memory of large copies, which go through it in two halves, and of small ones; then answers.
constexpr int64_t kPinnedBytes = int64_t{4} << 20;
constexpr int64_t kSmallBytes = int64_t{512} << 10;  // of a copy at most: tables of an optimiser's parameters are 400 KiB
constexpr int64_t kSmallHalf = 8 * kSmallBytes;
constexpr size_t kOpenDoubts = 1024;  // before somebody has to wait for answers

// Of the graph that this thread captures.
thread_local const Pool* captured_here = nullptr;
thread_local GraphMemory* captured_memory = nullptr;

constexpr int64_t kGraphUnit = 512;
int64_t in_graph(int64_t bytes) { return (bytes + kGraphUnit - 1) / kGraphUnit * kGraphUnit; }

void release_storage(Storage& storage) {
  if (storage.data == nullptr) return;
  static_cast<Pool*>(storage.owner.get())->release(std::exchange(storage.data, nullptr), storage.bytes);
}

}  // namespace

void expect(cudaError_t error, const char* what) {
  if (error != cudaSuccess) throw Error(kKernelError, std::string(what) + ": " + cudaGetErrorString(error));
}

std::optional<std::string> lacking_code(int device) {
#define MGLMM_TEXT_OF(...) #__VA_ARGS__
#define MGLMM_TEXT(...) MGLMM_TEXT_OF(__VA_ARGS__)
  constexpr const char* kCompiled = MGLMM_TEXT(MGLMM_ARCHITECTURES);
  int major = 0, minor = 0;
  expect(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device), "asking for the compute capability");
  expect(cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device), "asking for the compute capability");
  if (runs_on(kCompiled, major, minor)) return std::nullopt;
  return "cuda:" + std::to_string(device) + " is of compute capability " + std::to_string(major) + "." +
         std::to_string(minor) + ", and this build has code for " + kCompiled;
}

Pool::Pool(int device) : device_(device) {
  if (const auto lacking = lacking_code(device)) throw Error(kDeviceError, *lacking);
  if (const cudaError_t error = cudaSetDevice(device); error != cudaSuccess) {
    throw Error(kDeviceError, "cuda:" + std::to_string(device) + " cannot be opened: " + cudaGetErrorString(error));
  }
  expect(cudaDeviceGetDefaultMemPool(&pool_, device), "finding the device's memory pool");
  unsigned long long keep_all = ~0ULL;  // what is freed stays for reuse; `trim` gives it back
  expect(cudaMemPoolSetAttribute(pool_, cudaMemPoolAttrReleaseThreshold, &keep_all), "setting up the memory pool");
  size_t free = 0, total = 0;
  expect(cudaMemGetInfo(&free, &total), "asking for the device's memory");
  limit = static_cast<int64_t>(total);
  expect(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "making a stream");
  expect(cudaStreamCreateWithFlags(&aside_, cudaStreamNonBlocking), "making a stream");
}

void Pool::bind() const { cudaSetDevice(device_); }

Pool::~Pool() {
  bind();
  for (std::byte* memory : waiting_) cudaFreeAsync(memory, stream);
  if (aside_ != nullptr) cudaStreamDestroy(aside_);
  if (stream != nullptr) cudaStreamDestroy(stream);
}

std::byte* Pool::allocate(int64_t bytes) {
  if (captured_here == this) return allocate_captured(bytes);
  free_released();
  if (live + bytes <= limit) {
    void* memory = nullptr;
    const cudaError_t error = with_room([&] { return cudaMallocAsync(&memory, static_cast<size_t>(bytes), stream); });
    if (error == cudaSuccess) {
      live += bytes;
      peak = std::max(peak.load(), live.load());
      return static_cast<std::byte*>(memory);
    }
    cudaGetLastError();
    if (error != cudaErrorMemoryAllocation) expect(error, "allocating memory");
  }
  throw Error(kOutOfMemoryError, "cannot allocate " + std::to_string(bytes) + " bytes on " + used());
}

std::byte* Pool::allocate_captured(int64_t bytes) {
  const int64_t size = in_graph(bytes);
  void* memory = nullptr;
  if (const auto place = captured_memory->free.find(size); place != captured_memory->free.end()) {
    memory = place->second;
    captured_memory->free.erase(place);
  } else {
    const bool fits = live + size <= limit;
    const cudaError_t error = fits ? cudaMallocAsync(&memory, static_cast<size_t>(size), aside_) : cudaErrorMemoryAllocation;
    expect_room(error, "allocating memory of a graph");
    expect(cudaStreamSynchronize(aside_), "allocating memory of a graph");
  }
  captured_memory->taken.push_back({static_cast<std::byte*>(memory), size});
  return static_cast<std::byte*>(memory);
}

void Pool::release(std::byte* memory, int64_t bytes) {
  if (captured_here == this) {
    captured_memory->free.emplace(in_graph(bytes), memory);
    return;
  }
  live -= bytes;
  const std::lock_guard lock(mutex_);
  waiting_.push_back(memory);
}

void Pool::free_released() {
  std::vector<std::byte*> released;
  {
    const std::lock_guard lock(mutex_);
    released.swap(waiting_);
  }
  for (std::byte* memory : released) expect(cudaFreeAsync(memory, stream), "freeing memory");
}

// What was freed before is free then, for nothing is waited for in between.
void Pool::begin_capture(GraphMemory& memory) {
  free_released();
  expect(cudaStreamSynchronize(stream), "waiting for the stream");
  captured_here = this;
  captured_memory = &memory;
}

void Pool::end_capture() {
  captured_here = nullptr;
  captured_memory = nullptr;
}

void Pool::free(GraphMemory& memory) {
  for (const auto& [_, block] : memory.free) cudaFreeAsync(block, stream);
  memory.free.clear();
}

void Pool::trim() {
  free_released();
  expect(cudaStreamSynchronize(stream), "waiting for the stream");  // what it frees is free then
  expect(cudaMemPoolTrimTo(pool_, 0), "giving memory back");
}

void Pool::expect_room(cudaError_t error, const char* what) const {
  if (error == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    throw Error(kOutOfMemoryError, std::string(what) + ": no memory is left on " + used());
  }
  expect(error, what);
}

std::string Pool::used() const {
  return "cuda:" + std::to_string(device_) + ": " + std::to_string(live) + " are in use, the limit is " +
         std::to_string(limit);
}

MemoryFigures Pool::figures() const {
  bind();
  unsigned long long reserved = 0;
  cudaMemPoolGetAttribute(pool_, cudaMemPoolAttrReservedMemCurrent, &reserved);
  return {live, peak, std::max<int64_t>(0, static_cast<int64_t>(reserved) - live), 0, limit};
}

CudaStream::CudaStream(int device) : pool_(std::make_shared<Pool>(device)) {
  expect(cudaStreamCreateWithFlags(&copies_, cudaStreamNonBlocking), "making a stream");
  expect(cudaEventCreateWithFlags(&computed_, cudaEventDisableTiming), "making an event");
  expect(cudaEventCreateWithFlags(&copied_, cudaEventDisableTiming), "making an event");
  for (cudaEvent_t* left : {&small_left_[0], &small_left_[1], &large_left_[0], &large_left_[1]})
    expect(cudaEventCreateWithFlags(left, cudaEventDisableTiming), "making an event");
  void* memory = nullptr;
  expect(cudaMallocHost(&memory, kPinnedBytes + 2 * kSmallHalf + kOpenDoubts * sizeof(Refusal)), "allocating pinned memory");
  pinned_ = static_cast<std::byte*>(memory);
  small_ = pinned_ + kPinnedBytes;
  answers_ = reinterpret_cast<Refusal*>(small_ + 2 * kSmallHalf);
  expect(cudaDeviceGetAttribute(&processors_, cudaDevAttrMultiProcessorCount, device), "asking for multiprocessors");
  expect(cudaDeviceGetAttribute(&shared_bytes_, cudaDevAttrMaxSharedMemoryPerMultiprocessor, device),
         "asking for shared memory");
#if defined(MGLMM_SM_90A) || defined(MGLMM_SIMULATED)
  int major = 0, minor = 0;
  expect(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device), "asking for the compute capability");
  expect(cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device), "asking for the compute capability");
  is_hopper_ = major == 9 && minor == 0;
#endif
}

CudaStream::~CudaStream() {
  pool_->bind();
  cudaStreamSynchronize(handle());
  keep_scratch(0);
  cudaFreeHost(pinned_);
  for (cudaEvent_t left : {small_left_[0], small_left_[1], large_left_[0], large_left_[1]}) cudaEventDestroy(left);
  cudaEventDestroy(copied_);
  cudaEventDestroy(computed_);
  cudaStreamDestroy(copies_);
}

std::byte* CudaStream::take(int64_t bytes) {
  std::byte* memory = pool_->allocate(bytes);
  if (held_ != nullptr && held_->touches({memory, bytes})) launch_held();  // a graph's memory goes from hand to hand
#if defined(MGLMM_SIMULATED)
  if (is_captured()) poison_simulated(pool_->stream, memory, static_cast<size_t>(bytes));
#endif
  return memory;
}

std::byte* CudaStream::scratch(int64_t bytes) {
  bytes = std::max<int64_t>(bytes, 1);
  scratch_.push_back({take(bytes), bytes});
  return scratch_.back().memory;
}

void CudaStream::keep_scratch(size_t count) {
  for (; scratch_.size() > count; scratch_.pop_back()) pool_->release(scratch_.back().memory, scratch_.back().bytes);
}

void CudaStream::allocate(Storage& storage) {
  if (storage.data != nullptr || storage.bytes == 0) return;
  storage.data = take(storage.bytes);
  storage.owner = pool_;
  storage.release = release_storage;
}

// A place for a small copy. Half of the memory is written while what the stream copies out of the other is on its way.
std::byte* CudaStream::small_place(int64_t bytes) {
  if (small_used_ + bytes > kSmallHalf) {
    expect(cudaEventRecord(small_left_[small_half_], handle()), "recording an event");
    small_half_ = 1 - small_half_;
    small_used_ = 0;
    expect(cudaEventSynchronize(small_left_[small_half_]), "waiting for a copy");
  }
  return small_ + static_cast<int64_t>(small_half_) * kSmallHalf + std::exchange(small_used_, small_used_ + bytes);
}

// What is small (ids, tables) is copied in the order of the stream, and nobody waits. For what is large one half of the
// pinned memory is filled while the other is on its way, once the stream has come so far.
void CudaStream::upload(std::byte* to, const std::byte* from, int64_t bytes) {
  if (bytes == 0) return;
  if (graph_ != nullptr || bytes <= kSmallBytes) {
    const std::byte* kept = nullptr;
    if (graph_ != nullptr)
      kept = graph_->keep(from, bytes);
    else
      kept = static_cast<std::byte*>(std::memcpy(small_place(bytes), from, static_cast<size_t>(bytes)));
    expect(cudaMemcpyAsync(to, kept, static_cast<size_t>(bytes), cudaMemcpyHostToDevice, handle()), "copying to the device");
    return;
  }
  expect(cudaEventRecord(computed_, handle()), "recording an event");
  expect(cudaStreamWaitEvent(copies_, computed_, 0), "waiting for an event");
  constexpr int64_t kHalf = kPinnedBytes / 2;
  for (int64_t begin = 0, half = 0; begin < bytes; begin += kHalf, half = 1 - half) {
    cudaEvent_t& left = large_left_[static_cast<size_t>(half)];
    if (begin >= kPinnedBytes) expect(cudaEventSynchronize(left), "waiting for a copy");
    std::byte* staged = pinned_ + half * kHalf;
    const auto size = static_cast<size_t>(std::min(kHalf, bytes - begin));
    std::memcpy(staged, from + begin, size);
    expect(cudaMemcpyAsync(to + begin, staged, size, cudaMemcpyHostToDevice, copies_), "copying to the device");
    expect(cudaEventRecord(left, copies_), "recording an event");
  }
  expect(cudaEventRecord(copied_, copies_), "recording an event");
  expect(cudaStreamWaitEvent(handle(), copied_, 0), "waiting for an event");
  expect(cudaEventSynchronize(copied_), "waiting for a copy");  // the pinned memory is free again
}

// What is small, as ids are that a next step waits for, comes in the order of the stream: one wait, not two.
void CudaStream::download(std::byte* to, const std::byte* from, int64_t bytes) {
  if (graph_ == nullptr && bytes > 0 && bytes <= kSmallBytes) {
    expect(cudaMemcpyAsync(pinned_, from, static_cast<size_t>(bytes), cudaMemcpyDeviceToHost, handle()),
           "copying from the device");
    synchronize();
    std::memcpy(to, pinned_, static_cast<size_t>(bytes));
    return;
  }
  synchronize();
  for (int64_t begin = 0; begin < bytes; begin += kPinnedBytes) {
    const auto size = static_cast<size_t>(std::min(kPinnedBytes, bytes - begin));
    expect(cudaMemcpyAsync(pinned_, from + begin, size, cudaMemcpyDeviceToHost, copies_), "copying from the device");
    expect(cudaStreamSynchronize(copies_), "waiting for a copy");
    std::memcpy(to + begin, pinned_, size);
  }
}

void CudaStream::synchronize() {
  if (graph_ != nullptr) throw Error(kKernelError, "a graph cannot wait for the device");
  expect(cudaStreamSynchronize(handle()), "waiting for the stream");
  decide();
}

void CudaStream::trim_memory() { pool_->trim(); }

void CudaStream::clear(void* memory, int64_t bytes) {
  if (bytes > 0) expect(cudaMemsetAsync(memory, 0, static_cast<size_t>(bytes), handle()), "clearing memory");
}

void CudaStream::copy(void* to, const void* from, int64_t bytes) {
  if (bytes == 0) return;
  expect(cudaMemcpyAsync(to, from, static_cast<size_t>(bytes), cudaMemcpyDeviceToDevice, handle()), "copying");
}

std::unique_ptr<Graph> CudaStream::capture(const std::function<void()>& body) {
  auto graph = std::make_unique<CudaGraph>(*this);
  graph->begin();
  graph_ = graph.get();
  std::exception_ptr failure;
  try {
    body();
    launch_held();
  } catch (...) {
    failure = std::current_exception();
  }
  graph_ = nullptr;
  graph->finish();
  if (failure) std::rethrow_exception(failure);
  return graph;
}

void CudaStream::hold(std::unique_ptr<HeldWork> work) {
  launch_held();
  held_ = std::move(work);
  if (!is_captured()) launch_held();
}

void CudaStream::launch_held() {
  if (const auto work = std::exchange(held_, nullptr)) work->launch(*this);
}

bool CudaStream::is_settled(const MemoryRange& memory) const { return is_captured() && !graph_->has_made(memory); }

void CudaStream::note_made(const TensorRef& tensor) {
  if (is_captured() && tensor.storage != nullptr) graph_->note_made({tensor.raw(), tensor.bytes()});
}

Refusal* CudaStream::question() {
  if (graph_ != nullptr) return graph_->question();
  auto* word = scratch_of<Refusal>(1);
  clear_refusals(word, sizeof(Refusal));
  return word;
}

void CudaStream::clear_refusals(Refusal* words, size_t bytes) {
  expect(cudaMemsetAsync(words, 0xff, bytes, handle()), "clearing memory");
}

void CudaStream::doubt(const Refusal* word, Complaint complaint) {
  if (graph_ != nullptr) return graph_->doubt(word, std::move(complaint));
  make_room_for_doubts(1);
  Refusal* answer = answers_ + open_.size();
  expect(cudaMemcpyAsync(answer, word, sizeof(Refusal), cudaMemcpyDeviceToHost, handle()), "copying from the device");
  doubts.push_back(await({std::shared_ptr<void>(), answer}, std::move(complaint)));  // of the stream
}

void CudaStream::make_room_for_doubts(size_t count) {
  if (open_.size() + count > kOpenDoubts) synchronize();
}

std::shared_ptr<Doubt> CudaStream::await(std::shared_ptr<const Refusal> answer, Complaint complaint) {
  open_.push_back({std::make_shared<Doubt>(), std::move(complaint), std::move(answer)});
  return open_.back().doubt;
}

void CudaStream::decide() {
  for (Open& one : open_) {
    one.doubt->decided = true;
    if (*one.answer == kNothingRefused) continue;
    one.doubt->error = one.complaint(static_cast<int64_t>(*one.answer >> 32), static_cast<int32_t>(*one.answer));
    if (!confirmed) confirmed = one.doubt->error;
  }
  open_.clear();
}

}  // namespace mglmm::cuda
