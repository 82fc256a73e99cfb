// JavaScript's Tensor objects and the context (one per Node environment: main thread or worker) they live in.
#pragma once
#include <napi.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "binding/executor.h"
#include "binding/promises.h"
#include "kernels/error.h"
#include "kernels/tensor.h"

namespace mglmm {

class Program;

// What a JavaScript Tensor holds, as an external value: making one and telling the garbage collector of it costs more than a
// small op, so lib/tensor/tensor.ts uses them again. `ref.storage` is null while no tensor has it.
struct Handle {
  TensorRef ref;
  int64_t own_bytes = 0;  // of memory that it made
  int64_t told_v8 = 0;    // bytes announced to the garbage collector
};

// Per-environment state, Node-API instance data.
class Context {
 public:
  explicit Context(Napi::Env env) : env_(env) {}
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  static Context& of(Napi::Env env) { return *env.GetInstanceData<Context>(); }

  // Of a device: started on first use; throws DeviceError when there is no such device, or no backend for it.
  Executor& executor(Device device);
  // The same if it was started, or null; null when all were stopped.
  Executor* running(Device device);
  // The devices whose executors were started.
  std::vector<Device> started() const;
  // How many GPUs there are; where none can be used, `why` says so.
  int cuda_count(std::string* why);
  Promises& promises();
  void stop();

  // What JavaScript is told of the tensors that the last call made: kDescription numbers each, dtype, device, layout, rank
  // (-1: none was made), sizes. Numbers in memory of both sides are read in no time, objects are made of many calls.
  static constexpr int kMaxOutputs = 8;
  static constexpr int kDescription = 4 + Shape::kMaxRank;
  Napi::Reference<Napi::Float64Array> described;
  double* description = nullptr;
  double* description_of(int place) { return description + static_cast<ptrdiff_t>(place) * kDescription; }
  void describe_none(int place) { description_of(place)[3] = -1; }
  std::shared_ptr<Program> recording;  // ops are added to it while it is there
  std::string cpu_level;
  std::string cuda_variant;  // "simulated", or empty for the real one
  int threads = 0;           // 0: all cores

 private:
  Napi::Env env_;
  bool stopped_ = false;
  std::unique_ptr<Promises> promises_;
  std::vector<std::unique_ptr<Executor>> executors_;  // by device
  const Backend* cuda_ = nullptr;
};

// Whether V8 is told of a tensor's bytes once no scope owns it, so that garbage of unscoped code is collected before memory
// runs out. Not for what has no memory of its own: views, mapped files, parameters that wait for theirs.
enum class Announce { yes, no };
// Puts `ref` into the handle of a tensor that is being made and describes it, as the `place`-th of this call.
void make_tensor(Napi::Env env, Handle& handle, TensorRef ref, Announce announce = Announce::yes, int place = 0);
// A tensor without memory yet. Throws OutOfMemoryError when it could never have it.
TensorRef new_tensor(Napi::Env env, const Shape& shape, Dtype dtype, Device device);
// The empty handle that each function that makes a tensor is given first.
Handle& handle_to_fill(const Napi::CallbackInfo& info);
// The handle that `value` is, or null for anything else.
Handle* handle_of(Napi::Env env, Napi::Value value);
// The live tensor behind `value`. Throws ArgumentError for anything else.
const TensorRef& expect_tensor(Napi::Env env, Napi::Value value, std::string_view op, const std::string& field);

// Throws `error` into JavaScript with its `code`.
[[noreturn]] void rethrow(Napi::Env env, const Error& error);
// Runs `body`, turning contract errors into JavaScript ones.
template <typename Body>
auto guarded(Napi::Env env, Body&& body) {
  try {
    return body();
  } catch (const Error& error) {
    rethrow(env, error);
  } catch (const Napi::Error&) {
    throw;
  } catch (const std::bad_alloc&) {
    rethrow(env, Error(kOutOfMemoryError, "no host memory left for bookkeeping"));
  } catch (const std::exception& error) {  // such as a thread that cannot be started
    rethrow(env, Error(kKernelError, std::string("the system refused: ") + error.what()));
  }
}

void register_tensor(Napi::Env env, Napi::Object exports);
void register_copies(Napi::Env env, Napi::Object exports);
void register_transfers(Napi::Env env, Napi::Object exports);
void register_ops(Napi::Env env, Napi::Object exports);

}  // namespace mglmm
