#include <unistd.h>

#include <algorithm>
#include <thread>

#include "binding/backends.h"
#include "binding/tensor.h"

namespace mglmm {

Executor& Context::executor() {
  if (stopped_) throw Error(kAbortedError, "the environment is shutting down");
  if (!executor_) {
    const int all = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
    executor_ = std::make_unique<Executor>(load_cpu_backend(cpu_level), threads > 0 ? threads : all);
  }
  return *executor_;
}

Promises& Context::promises() {
  if (!promises_) {
    promises_ = std::make_unique<Promises>(env_);
    // Hooks run last in, first out: added after the channel, this one joins the stream while the channel still stands.
    env_.AddCleanupHook([](Context* context) { context->stop(); }, this);
  }
  return *promises_;
}

void Context::stop() {
  stopped_ = true;
  if (executor_) executor_->stop();
  if (promises_) promises_->close();
}

void rethrow(Napi::Env env, const Error& error) { throw to_javascript(env, error); }

}  // namespace mglmm
