#include <unistd.h>

#include <algorithm>
#include <thread>

#include "binding/backends.h"
#include "binding/tensor.h"

namespace mglmm {

Executor& Context::executor(Device device) {
  const auto place = static_cast<size_t>(device);
  if (stopped_) throw Error(kAbortedError, "the environment is shutting down");
  if (Executor* started = running(device)) return *started;
  const Backend* backend = nullptr;
  if (is_cuda(device)) {
    std::string why;
    const int count = cuda_count(&why);
    if (count == 0) throw Error(kDeviceError, to_string(device) + " cannot be used: " + why);
    if (index_of(device) >= count) {
      throw Error(kDeviceError, "there is no " + to_string(device) + ", the last is cuda:" + std::to_string(count - 1));
    }
    if (const auto problem = cuda_->device_problem(index_of(device))) throw Error(kDeviceError, *problem);
    backend = cuda_;
  } else {
    backend = &load_cpu_backend(cpu_level);
  }
  const int all = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  if (executors_.size() <= place) executors_.resize(place + 1);
  executors_[place] = std::make_unique<Executor>(*backend, device, threads > 0 ? threads : all);
  return *executors_[place];
}

Executor* Context::running(Device device) {
  const auto place = static_cast<size_t>(device);
  return stopped_ || place >= executors_.size() ? nullptr : executors_[place].get();
}

std::vector<Device> Context::started() const {
  std::vector<Device> devices;
  for (size_t place = 0; place < executors_.size(); ++place) {
    if (executors_[place]) devices.push_back(static_cast<Device>(place));
  }
  return devices;
}

int Context::cuda_count(std::string* why) {
  try {
    if (cuda_ == nullptr) cuda_ = &load_cuda_backend(cuda_variant);
    const int count = cuda_->device_count();
    if (count == 0) *why = "the driver finds no GPU";
    return count;
  } catch (const Error& error) {
    *why = error.what();
    return 0;
  }
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
  for (const auto& executor : executors_) {
    if (executor) executor->stop();
  }
  if (promises_) promises_->close();
}

void rethrow(Napi::Env env, const Error& error) { throw to_javascript(env, error); }

}  // namespace mglmm
