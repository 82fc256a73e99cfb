#include "binding/executor.h"

#include <sys/resource.h>
#include <unistd.h>

#include <chrono>

#include "binding/host_stream.h"
#include "binding/memory.h"

namespace mglmm {
namespace {

constexpr int kNice = 5;
// How long the thread looks for work before it sleeps. To wake it costs JavaScript's thread several microseconds, more than
// a small op does, and while JavaScript calls op after op the next one comes within one or two.
constexpr std::chrono::microseconds kAwake{20};

}  // namespace

Executor::Executor(const Backend& backend, Device device, int threads)
    : backend_(backend), device_(device), threads_(threads), thread_([this] { loop(); }) {}

Executor::~Executor() { stop(); }

void Executor::enqueue(std::unique_ptr<Task> task) {
  bool asleep = false;
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return;
    pending_.fetch_add(1, std::memory_order_relaxed);
    queue_.push_back(std::move(task));
    asleep = asleep_;
  }
  if (asleep) wake_.notify_one();
}

void Executor::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
  // What was dropped is destroyed here, not on the stream's thread: promises belong to JavaScript's.
  queue_.clear();
  running_.clear();
}

void Executor::open() {
  try {
    stream_ = backend_.open(index_of(device_));
    if (!stream_) stream_ = std::make_unique<HostStream>();
    memory_limit_ = stream_->memory().limit_bytes;
    opened_ = stream_.get();
  } catch (const Error& error) {
    unopened_ = std::make_unique<Error>(error);
  }
}

void Executor::loop() {
  // One step below JavaScript's thread, for this thread and those OpenMP starts from it: with all cores busy a timer that
  // is due takes a core at once instead of at the end of a time slice.
  setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), kNice);
  backend_.set_threads(threads_);
  open();
  for (;;) {
    const auto awake_until = std::chrono::steady_clock::now() + kAwake;
    while (pending() == 0 && std::chrono::steady_clock::now() < awake_until) std::this_thread::yield();
    if (pending() == 0) settle();
    {
      std::unique_lock lock(mutex_);
      asleep_ = true;
      wake_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
      asleep_ = false;
      running_.swap(queue_);
    }
    for (auto& task : running_) {
      if (stopping_) return;
      task->run(*this);
      task.reset();  // before the count falls: what the task held is free when pending() says so
      pending_.fetch_sub(1, std::memory_order_relaxed);
    }
    if (stopping_) return;
    running_.clear();
  }
}

Stream& Executor::stream() {
  if (!stream_) throw Error(*unopened_);
  return *stream_;
}

void Executor::settle() {
  try {
    if (stream_) stream_->settle();
  } catch (const Error& error) {
    note(error);
  }
}

void Executor::set_memory_limit(int64_t bytes) {
  stream().set_memory_limit(bytes);
  memory_limit_ = bytes;
}

MemoryFigures Executor::memory() const {
  const Stream* stream = opened_;
  return stream == nullptr ? MemoryFigures{} : stream->memory();
}

void Executor::expect_possible(int64_t bytes) const {
  if (!is_cuda(device_)) return mglmm::expect_possible(bytes);
  const int64_t limit = memory_limit_;
  if (limit > 0 && bytes > limit) {
    throw Error(kOutOfMemoryError, "cannot allocate " + std::to_string(bytes) + " bytes on " + to_string(device_) +
                                       ": the limit is " + std::to_string(limit));
  }
}

void Executor::note(const Error& error) {
  if (!noted_) noted_ = std::make_unique<Error>(error);
}

std::unique_ptr<Error> Executor::take_noted() {
  if (stream_ && stream_->confirmed) {
    note(*stream_->confirmed);
    stream_->confirmed.reset();
  }
  return std::move(noted_);
}

void Executor::forget(const Error& told) {
  std::unique_ptr<Error> noted = take_noted();
  if (noted && !(noted->is(told.code) && std::string_view(noted->what()) == told.what())) noted_ = std::move(noted);
}

}  // namespace mglmm
