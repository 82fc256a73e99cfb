// The stream of a context: one thread that runs what was enqueued, in order, so that JavaScript never waits.
#pragma once
#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "kernels/backend.h"
#include "kernels/error.h"
#include "kernels/stream.h"
#include "kernels/tensor.h"

namespace mglmm {

// Set by JavaScript when an AbortSignal fires; ops enqueued under it are skipped from then on.
struct CancelToken {
  std::atomic<bool> cancelled{false};
};

class Executor {
 public:
  struct Task {
    virtual ~Task() = default;
    virtual void run(Executor& executor) noexcept = 0;
  };

  // Starts the thread, which opens the device. `threads` is what kernels may use, this one included.
  Executor(const Backend& backend, Device device, int threads);
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;
  ~Executor();  // as stop()

  void enqueue(std::unique_ptr<Task> task);
  // Drops what waits, lets the running kernel end, joins the thread. Any later enqueue drops its task.
  void stop();

  const Backend& backend() const { return backend_; }
  // Tasks enqueued and not yet done.
  int64_t pending() const { return pending_.load(std::memory_order_relaxed); }
  // Of the device; zeros until it is open.
  MemoryFigures memory() const;
  // Throws OutOfMemoryError when a tensor of `bytes` could never be had, as far as is known.
  void expect_possible(int64_t bytes) const;

  // Stream thread only ----------------------------------------------------------------------------------------------
  // Throws DeviceError when the device could not be opened.
  Stream& stream();
  void set_memory_limit(int64_t bytes);
  // Keeps the first error that no read has told yet, for the next synchronize().
  void note(const Error& error);
  std::unique_ptr<Error> take_noted();
  // Told to whoever asked for what it spoiled: no longer for the next synchronize().
  void forget(const Error& told);

 private:
  void open();
  void loop();
  void settle();

  const Backend& backend_;
  const Device device_;
  const int threads_;
  std::atomic<int64_t> pending_{0};
  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<std::unique_ptr<Task>> queue_;    // under mutex_
  bool asleep_ = false;                         // under mutex_
  std::vector<std::unique_ptr<Task>> running_;  // stream thread; once that is joined, the thread that joined it
  std::atomic<bool> stopping_{false};           // set under mutex_
  std::unique_ptr<Stream> stream_;              // stream thread
  std::unique_ptr<Error> unopened_;             // why there is none
  std::atomic<Stream*> opened_{nullptr};        // what other threads may ask for figures
  std::atomic<int64_t> memory_limit_{0};        // of the stream: to ask it for figures may wait for the driver
  std::unique_ptr<Error> noted_;
  std::thread thread_;
};

}  // namespace mglmm
