#include "cuda/simulator/runtime.h"

#include <array>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

#include "cuda/simulator/grid.h"

// Work in its order, and memory that is allocated in it.
struct SimulatedGraph {
  std::vector<std::function<void()>> work;
};
struct SimulatedStream {
  int device;
  SimulatedGraph* captured = nullptr;
};
struct SimulatedEvent {};
struct SimulatedPool {
  size_t used = 0;
};

namespace {

constexpr int kDevices = 2;
constexpr size_t kDeviceBytes = size_t{4} << 30;

struct Memory {
  std::mutex mutex;
  std::array<SimulatedPool, kDevices> pools;
  std::map<void*, std::pair<int, size_t>> blocks;  // device, bytes
};

Memory& memory() {
  static auto* memory = new Memory;  // never destroyed: tensors of a worker may outlive static destruction
  return *memory;
}

thread_local int current_device = 0;
thread_local int launches_to_refuse = 0;

cudaError_t release(void* block) {
  Memory& m = memory();
  const std::lock_guard lock(m.mutex);
  const auto place = m.blocks.find(block);
  if (place == m.blocks.end()) return cudaErrorInvalidValue;
  const auto [device, bytes] = place->second;
  m.pools[static_cast<size_t>(device)].used -= bytes;
  m.blocks.erase(place);
  mglmm::simulator::poison(block, bytes);  // for whoever reads it all the same
  std::free(block);
  return cudaSuccess;
}

}  // namespace

cudaError_t cudaGetDeviceCount(int* count) {
  *count = kDevices;
  return cudaSuccess;
}

cudaError_t cudaSetDevice(int device) {
  if (device < 0 || device >= kDevices) return cudaErrorInvalidDevice;
  current_device = device;
  return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device) {
  switch (attribute) {
    case cudaDevAttrMultiProcessorCount: *value = 2; break;
    case cudaDevAttrComputeCapabilityMajor: *value = device == 0 ? 9 : 8; break;
    case cudaDevAttrComputeCapabilityMinor: *value = 0; break;
    case cudaDevAttrMaxSharedMemoryPerMultiprocessor: *value = (device == 0 ? 228 : 100) << 10; break;
  }
  return cudaSuccess;
}

cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
  const std::lock_guard lock(memory().mutex);
  *total = kDeviceBytes;
  *free = kDeviceBytes - memory().pools[static_cast<size_t>(current_device)].used;
  return cudaSuccess;
}

cudaError_t cudaGetLastError() { return cudaSuccess; }

const char* cudaGetErrorString(cudaError_t error) {
  switch (error) {
    case cudaSuccess: return "no error";
    case cudaErrorMemoryAllocation: return "out of memory";
    case cudaErrorInvalidDevice: return "invalid device ordinal";
    default: return "invalid argument";
  }
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  *stream = new SimulatedStream{current_device};
  return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  delete stream;
  return cudaSuccess;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  stream->captured = new SimulatedGraph;
  return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  *graph = std::exchange(stream->captured, nullptr);
  return *graph == nullptr ? cudaErrorInvalidValue : cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* launched, cudaGraph_t graph, unsigned long long) {
  *launched = new SimulatedGraph{std::move(*graph)};
  return cudaSuccess;
}

void refuse_simulated_launches(int count) { launches_to_refuse = count; }

static bool is_refused() { return launches_to_refuse > 0 && launches_to_refuse-- > 0; }

cudaError_t cudaGraphLaunch(cudaGraphExec_t graph, cudaStream_t) {
  if (is_refused()) return cudaErrorMemoryAllocation;
  for (const auto& one : graph->work) one();
  return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) { return cudaGraphExecDestroy(graph); }

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t graph) {
  delete graph;
  return cudaSuccess;
}

void enqueue_simulated(cudaStream_t stream, std::function<void()> work) {
  if (stream->captured == nullptr)
    work();
  else
    stream->captured->work.push_back(std::move(work));
}

cudaError_t launch_simulated(cudaStream_t stream, std::function<void()> kernel) {
  if (is_refused()) return cudaErrorMemoryAllocation;
  enqueue_simulated(stream, std::move(kernel));
  return cudaSuccess;
}

// What is captured cannot be waited for.
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  return stream->captured == nullptr ? cudaSuccess : cudaErrorInvalidValue;
}
cudaError_t cudaStreamWaitEvent(cudaStream_t, cudaEvent_t, unsigned) { return cudaSuccess; }

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  *event = new SimulatedEvent;
  return cudaSuccess;
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete event;
  return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t, cudaStream_t) { return cudaSuccess; }
cudaError_t cudaEventSynchronize(cudaEvent_t) { return cudaSuccess; }

cudaError_t cudaDeviceGetDefaultMemPool(cudaMemPool_t* pool, int device) {
  *pool = &memory().pools[static_cast<size_t>(device)];
  return cudaSuccess;
}

cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t, cudaMemPoolAttr, void*) { return cudaSuccess; }

cudaError_t cudaMemPoolGetAttribute(cudaMemPool_t pool, cudaMemPoolAttr, void* value) {
  const std::lock_guard lock(memory().mutex);
  const unsigned long long used = pool->used;
  std::memcpy(value, &used, sizeof used);
  return cudaSuccess;
}

cudaError_t cudaMemPoolTrimTo(cudaMemPool_t, size_t) { return cudaSuccess; }

cudaError_t cudaMallocAsync(void** block, size_t bytes, cudaStream_t stream) {
  Memory& m = memory();
  const std::lock_guard lock(m.mutex);
  SimulatedPool& pool = m.pools[static_cast<size_t>(stream->device)];
  if (bytes > kDeviceBytes - pool.used) return cudaErrorMemoryAllocation;
  // The size itself, so that AddressSanitizer sees a kernel that goes beyond it.
  if (posix_memalign(block, 256, bytes) != 0) return cudaErrorMemoryAllocation;
  pool.used += bytes;
  m.blocks[*block] = {stream->device, bytes};
  poison_simulated(stream, *block, bytes);
  return cudaSuccess;
}

void poison_simulated(cudaStream_t stream, void* block, size_t bytes) {
  enqueue_simulated(stream, [block, bytes] { mglmm::simulator::poison(block, bytes); });
}

cudaError_t cudaFreeAsync(void* block, cudaStream_t) { return release(block); }

cudaError_t cudaMallocHost(void** block, size_t bytes) {
  *block = std::malloc(bytes);
  return *block == nullptr ? cudaErrorMemoryAllocation : cudaSuccess;
}

cudaError_t cudaFreeHost(void* block) {
  std::free(block);
  return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind, cudaStream_t stream) {
  enqueue_simulated(stream, [=] { std::memcpy(to, from, bytes); });
  return cudaSuccess;
}

cudaError_t cudaMemsetAsync(void* block, int value, size_t bytes, cudaStream_t stream) {
  enqueue_simulated(stream, [=] { std::memset(block, value, bytes); });
  return cudaSuccess;
}
