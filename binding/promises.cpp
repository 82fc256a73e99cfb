#include "binding/promises.h"

namespace mglmm {

Napi::Error to_javascript(Napi::Env env, const Error& error) {
  Napi::Error made = Napi::Error::New(env, error.what());
  made.Set("code", Napi::String::New(env, error.code));
  return made;
}

Promises::Promises(Napi::Env env)
    : channel_(
          Napi::ThreadSafeFunction::New(env, Napi::Function::New(env, [](const Napi::CallbackInfo&) {}), "mglmm", 0, 1)) {
  channel_.Unref(env);
}

Settlement* Promises::open(Napi::Env env, Napi::Value result) {
  if (pending_++ == 0) channel_.Ref(env);
  return new Settlement(env, result);
}

void Promises::settle(Settlement* settlement) {
  channel_.NonBlockingCall(settlement, [this](Napi::Env env, Napi::Function, Settlement* settled) {
    if (static_cast<napi_env>(env) == nullptr) return;  // the environment is going down: nobody waits any more
    const std::unique_ptr<Settlement> owned(settled);
    const Napi::HandleScope scope(env);
    if (--pending_ == 0) channel_.Unref(env);
    if (owned->error) {
      owned->deferred.Reject(to_javascript(env, *owned->error).Value());
    } else {
      owned->deferred.Resolve(owned->value.IsEmpty() ? env.Undefined() : owned->value.Value());
    }
  });
}

void Promises::close() { channel_.Abort(); }

}  // namespace mglmm
