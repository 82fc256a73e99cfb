// A tensor from one device to another. Each stream has a task in its own order: that of the source says when the values are
// there and waits until they were taken, that of the destination takes them. Both are enqueued at once, so any two streams
// see their transfers in the same order and never wait for each other in a circle.
#include <condition_variable>
#include <mutex>
#include <optional>

#include "binding/memory.h"
#include "binding/scalars.h"
#include "binding/tensor.h"

namespace mglmm {
namespace {

// What the two tasks know of each other. Either may be dropped before it runs; then the other does not wait.
class Handover {
 public:
  // By the source: the values, in memory of the host; or why there are none. Waits until they are no longer needed.
  void give(const std::byte* values, std::optional<Error> error) {
    std::unique_lock lock(mutex_);
    given_ = true;
    values_ = values;
    error_ = std::move(error);
    changed_.notify_all();
    changed_.wait(lock, [this] { return taken_; });
  }
  // By the destination. Throws the source's error.
  const std::byte* take() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return given_; });
    if (error_) throw Error(*error_);
    return values_;
  }
  void given_up() { mark(given_); }
  void taken() { mark(taken_); }

 private:
  void mark(bool& done) {
    const std::lock_guard lock(mutex_);
    if (&done == &given_ && !given_) error_ = Error(kAbortedError, "to: the stream it comes from was stopped");
    done = true;
    changed_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  bool given_ = false, taken_ = false;
  const std::byte* values_ = nullptr;
  std::optional<Error> error_;
};

struct GiveTask final : Executor::Task {
  std::shared_ptr<Handover> handover;
  TensorRef source;

  ~GiveTask() override { handover->given_up(); }
  void run(Executor& executor) noexcept override {
    Storage host;
    try {
      const Storage& storage = *source.storage;
      Stream& stream = executor.stream();
      if (is_cuda(storage.device)) stream.synchronize();  // decides doubts
      if (!storage.error.empty()) throw Error(storage.error_code, storage.error);
      if (storage.data == nullptr && source.bytes() > 0) throw Error(kArgumentError, "to: the tensor was never written");
      for (const auto& doubt : storage.doubts) {
        if (doubt->error) throw Error(*doubt->error);
      }
      if (!is_cuda(storage.device)) return handover->give(source.raw(), std::nullopt);
      host.bytes = source.bytes();
      allocate_host(host);
      stream.download(host.data, source.raw(), host.bytes);
      handover->give(host.data, std::nullopt);
    } catch (const Error& error) {
      handover->give(nullptr, error);
    }
  }
};

struct TakeTask final : Executor::Task {
  std::shared_ptr<Handover> handover;
  TensorRef destination;

  ~TakeTask() override { handover->taken(); }
  void run(Executor& executor) noexcept override {
    try {
      const std::byte* values = handover->take();
      Stream& stream = executor.stream();
      stream.allocate(*destination.storage);
      stream.upload(destination.raw(), values, destination.bytes());
    } catch (const Error& error) {
      destination.storage->error_code = error.code;
      destination.storage->error = error.what();
      executor.note(error);
    }
    handover->taken();
  }
};

// transfer(handle, tensor, device)
Napi::Value transfer(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&] {
    const TensorRef& source = expect_tensor(env, info[1], "to", "x");
    const Device device = expect_device(info[2], "to");
    if (source.layout == Layout::packed) throw Error(kArgumentError, "to: x is packed, expected rows; unpack it first");
    Context& context = Context::of(env);
    if (context.recording) throw Error(kArgumentError, "to: a program is being recorded, expected to be outside of it");
    Executor& from = context.executor(source.storage->device);
    Executor& to = context.executor(device);
    const auto handover = std::make_shared<Handover>();
    auto give = std::make_unique<GiveTask>();
    give->handover = handover;
    give->source = source;
    auto take = std::make_unique<TakeTask>();
    take->handover = handover;
    take->destination = new_tensor(env, source.shape, source.dtype, device);
    make_tensor(env, handle_to_fill(info), take->destination);
    from.enqueue(std::move(give));
    to.enqueue(std::move(take));
    return env.Undefined();
  });
}

}  // namespace

void register_transfers(Napi::Env env, Napi::Object exports) {
  exports.Set("transfer", Napi::Function::New(env, transfer, "transfer"));
}

}  // namespace mglmm
