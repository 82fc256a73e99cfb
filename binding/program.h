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
  // Calls `visit` with the memory of each field that is a tensor, and what the op does with it.
  enum class Use { reads, changes, makes };
  virtual void storages(const std::function<void(const std::shared_ptr<Storage>&, Use)>& visit) = 0;
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
  // From the second time on, on a device that can, what the steps enqueue is one launch.
  void run(Executor& executor, const CancelToken* token) noexcept;

 private:
  void run_steps(Executor& executor, const CancelToken* token) noexcept;
  bool launch(Executor& executor, const CancelToken* token) noexcept;
  std::unique_ptr<Graph> capture(Executor& executor);

  std::vector<std::unique_ptr<Step>> steps_;
  std::vector<std::vector<std::shared_ptr<Storage>>> last_read_;  // by step
  Device device_ = Device::cpu;
  bool sealed_ = false;
  // Memory that comes from elsewhere, and that which keeps a result.
  std::vector<std::shared_ptr<Storage>> given_, results_;
  bool has_run_ = false, no_graph_ = false;
  std::unique_ptr<Graph> graph_;
};

std::shared_ptr<CancelToken> token_of(Napi::Value value);
void register_programs(Napi::Env env, Napi::Object exports);

}  // namespace mglmm
