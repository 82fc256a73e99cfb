#include "binding/executor.h"

#include <sys/resource.h>
#include <unistd.h>

#include "binding/memory.h"

namespace mglmm {
namespace {

constexpr int kNice = 5;

}  // namespace

Executor::Executor(const Backend& backend, int threads)
    : backend_(backend), threads_(threads), thread_([this] { loop(); }) {}

Executor::~Executor() { stop(); }

void Executor::enqueue(std::unique_ptr<Task> task) {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return;
    pending_.fetch_add(1, std::memory_order_relaxed);
    queue_.push_back(std::move(task));
  }
  wake_.notify_one();
}

void Executor::stop() {
  std::deque<std::unique_ptr<Task>> dropped;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    dropped.swap(queue_);
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void Executor::loop() {
  // One step below JavaScript's thread, for this thread and those OpenMP starts from it: with all cores busy a timer that
  // is due takes a core at once instead of at the end of a time slice.
  setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), kNice);
  backend_.set_threads(threads_);
  for (;;) {
    std::unique_ptr<Task> task;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
      if (stopping_) return;
      task = std::move(queue_.front());
      queue_.pop_front();
    }
    task->run(*this);
    task.reset();  // before the count falls: what the task held is free when pending() says so
    pending_.fetch_sub(1, std::memory_order_relaxed);
  }
}

std::byte* Executor::scratch(int64_t bytes) {
  auto storage = std::make_shared<Storage>();
  storage->bytes = bytes;
  allocate_host(*storage);
  scratch_.push_back(storage);
  return storage->data;
}

void Executor::note(const Error& error) {
  if (!noted_) noted_ = std::make_unique<Error>(error);
}

std::unique_ptr<Error> Executor::take_noted() { return std::move(noted_); }

}  // namespace mglmm
