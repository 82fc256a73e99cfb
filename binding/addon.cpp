// The door: what `require` of the addon gives. Each Node environment (main thread, worker) has its own Context.
#include <napi.h>

#include "binding/program.h"
#include "binding/tensor.h"

namespace {

Napi::Object init(Napi::Env env, Napi::Object exports) {
  env.SetInstanceData(new mglmm::Context(env));
  mglmm::register_tensor(env, exports);
  mglmm::register_copies(env, exports);
  mglmm::register_transfers(env, exports);
  mglmm::register_ops(env, exports);
  mglmm::register_programs(env, exports);
  return exports;
}

}  // namespace

NODE_API_MODULE(mglmm, init)
