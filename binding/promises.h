// Results that come from the stream's thread back to JavaScript as promises.
#pragma once
#include <napi.h>

#include <memory>
#include <optional>

#include "binding/executor.h"

namespace mglmm {

// One promise that a task of the stream settles. Made on the JavaScript thread, settled on any, destroyed on JavaScript's.
struct Settlement {
  Napi::Promise::Deferred deferred;
  Napi::Reference<Napi::Value> value;  // what it resolves with: kept alive while the stream fills it
  std::optional<Error> error;
  Settlement(Napi::Env env, Napi::Value result) : deferred(env) {
    if (!result.IsUndefined()) value = Napi::Persistent(result);
  }
};

// The way back, one per context. While promises are pending it keeps the process alive.
class Promises {
 public:
  explicit Promises(Napi::Env env);
  // On the JavaScript thread. The settlement belongs to the channel until JavaScript has seen it.
  Settlement* open(Napi::Env env, Napi::Value result);
  // On any thread.
  void settle(Settlement* settlement);
  void close();

 private:
  Napi::ThreadSafeFunction channel_;
  int64_t pending_ = 0;  // JavaScript thread only
};

// The JavaScript Error of a contract error: its message, and its code as `code`.
Napi::Error to_javascript(Napi::Env env, const Error& error);

}  // namespace mglmm
