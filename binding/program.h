// Ops that were recorded once and run again and again by one call: a step of generation costs JavaScript nothing an op. They
// run on the tensors of the recording, so what changes from run to run is written into those.
#pragma once
#include <napi.h>

#include <functional>
#include <memory>
#include <vector>

#include "binding/executor.h"

namespace mglmm {

// An op with its fields, checked and ready to run as often as one likes.
class Step {
 public:
  virtual ~Step() = default;
  virtual void run(Executor& executor, const CancelToken* token) noexcept = 0;
  // Calls `visit` with the memory of each field that is a tensor, and whether the op makes it.
  virtual void storages(const std::function<void(const std::shared_ptr<Storage>&, bool made)>& visit) = 0;
};

class Program {
 public:
  // Throws DeviceError when steps before it are on another device.
  void add(std::unique_ptr<Step> step, Device device);
  Device device() const { return device_; }
  // Once nothing more is added: finds the memory that nobody but the steps holds. It is given back within a run as soon as
  // its last reader is done, so that a run needs, and touches, no more than the same ops outside a program would.
  void seal();
  bool sealed() const { return sealed_; }
  void run(Executor& executor, const CancelToken* token) noexcept;

 private:
  std::vector<std::unique_ptr<Step>> steps_;
  std::vector<std::vector<std::shared_ptr<Storage>>> last_read_;  // by step
  Device device_ = Device::cpu;
  bool sealed_ = false;
};

std::shared_ptr<CancelToken> token_of(Napi::Value value);
void register_programs(Napi::Env env, Napi::Object exports);

}  // namespace mglmm
