// JavaScript's Tensor objects and the context (one per Node environment: main thread or worker) they live in.
#pragma once
#include <napi.h>

#include <memory>

#include "binding/executor.h"
#include "binding/promises.h"
#include "kernels/error.h"
#include "kernels/tensor.h"

namespace mglmm {

class Program;

// What a JavaScript Tensor object wraps. `ref.storage` is null once it is disposed.
struct Handle {
  TensorRef ref;
  int64_t told_v8 = 0;  // bytes announced to the garbage collector
};

// Per-environment state, Node-API instance data.
class Context {
 public:
  explicit Context(Napi::Env env) : env_(env) {}
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  static Context& of(Napi::Env env) { return *env.GetInstanceData<Context>(); }

  Executor& executor();  // starts it on first use; throws DeviceError when there is no backend to run
  Promises& promises();
  void stop();

  Napi::FunctionReference tensor_class;  // lib/tensor/tensor.ts registers it
  std::shared_ptr<Program> recording;    // ops are added to it while it is there
  std::string cpu_level;
  int threads = 0;  // 0: all cores

 private:
  Napi::Env env_;
  bool stopped_ = false;
  std::unique_ptr<Promises> promises_;
  std::unique_ptr<Executor> executor_;
};

// Whether V8 is told of a tensor's bytes, so that garbage of unscoped code is collected before memory runs out. Not for
// what has no memory of its own: views, mapped files, parameters that wait for theirs.
enum class Announce { yes, no };
// Makes the JavaScript object of a tensor: `new Tensor(shape, dtype, device, layout)`, wrapped around `ref`.
Napi::Value make_tensor(Napi::Env env, TensorRef ref, Announce announce = Announce::yes);
// The handle of a JavaScript Tensor, or null for anything else.
Handle* handle_of(Napi::Env env, Napi::Value value);
// The live tensor behind `value`. Throws ArgumentError for anything else, DisposedError for a disposed one.
const TensorRef& expect_tensor(Napi::Env env, Napi::Value value, const std::string& op, const std::string& field);

// Throws `error` into JavaScript with its `code`.
[[noreturn]] void rethrow(Napi::Env env, const Error& error);
// Runs `body`, turning contract errors into JavaScript ones.
template <typename Body>
auto guarded(Napi::Env env, Body&& body) {
  try {
    return body();
  } catch (const Error& error) {
    rethrow(env, error);
  } catch (const std::bad_alloc&) {
    rethrow(env, Error(kOutOfMemoryError, "no host memory left for bookkeeping"));
  }
}

void register_tensor(Napi::Env env, Napi::Object exports);
void register_ops(Napi::Env env, Napi::Object exports);

}  // namespace mglmm
