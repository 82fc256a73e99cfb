// Values on their way from JavaScript's arrays into tensors, and back.
#include <cstring>
#include <memory>
#include <optional>
#include <vector>

#include "binding/memory.h"
#include "binding/scalars.h"
#include "binding/tensor.h"

namespace mglmm {
namespace {

// A synchronous copy in takes about 0.1 ms a MiB on JavaScript's thread, which must never be held for more than 1 ms.
constexpr int64_t kMaxSynchronousBytes = int64_t{8} << 20;

// A typed array (or a Node Buffer) as bytes, with the dtype its elements can be.
struct Source {
  Napi::TypedArray array;
  const std::byte* data;
  int64_t bytes;
};

Source expect_source(const Napi::Value& value, const std::string& op, const TensorRef& ref) {
  if (!value.IsTypedArray()) throw Error(kArgumentError, op + ": data is " + describe(value) + ", expected a typed array");
  const auto array = value.As<Napi::TypedArray>();
  const napi_typedarray_type wanted = ref.dtype == Dtype::f32   ? napi_float32_array
                                      : ref.dtype == Dtype::i32 ? napi_int32_array
                                      : ref.dtype == Dtype::u8  ? napi_uint8_array
                                                                : napi_uint16_array;
  const bool fits =
      array.TypedArrayType() == wanted || (wanted == napi_uint8_array && array.TypedArrayType() == napi_uint8_clamped_array);
  if (!fits) {
    constexpr const char* names[] = {"Float32Array", "Uint16Array (bits)", "Uint16Array (bits)", "Int32Array", "Uint8Array"};
    throw Error(kDtypeError, op + ": data is " + describe(value) + ", expected " + names[static_cast<int>(ref.dtype)] +
                                 " for dtype " + to_string(ref.dtype));
  }
  if (static_cast<int64_t>(array.ByteLength()) != ref.bytes()) {
    throw Error(kShapeError, op + ": data has " + std::to_string(array.ElementLength()) + " elements, expected " +
                                 std::to_string(ref.count()) + " for shape " + to_string(ref.shape));
  }
  const auto* start = static_cast<const std::byte*>(array.ArrayBuffer().Data());
  return {array, start + array.ByteOffset(), ref.bytes()};
}

// Fills a tensor that was just made from host memory. Never throws: what it could not fill says why.
std::optional<Error> fill(Executor& executor, const TensorRef& ref, const std::byte* from) noexcept {
  try {
    Stream& stream = executor.stream();
    stream.allocate(*ref.storage);
    stream.upload(ref.raw(), from, ref.bytes());
    return std::nullopt;
  } catch (const Error& error) {
    ref.storage->error_code = error.code;  // for ops that wait for the copy
    ref.storage->error = error.what();
    return error;
  }
}

// Of what was copied to host memory before.
struct StagedTask final : Executor::Task {
  TensorRef ref;
  Storage staged;

  void run(Executor& executor) noexcept override {
    if (const auto error = fill(executor, ref, staged.data)) executor.note(*error);
  }
};

struct UploadTask final : Executor::Task {
  TensorRef ref;
  std::unique_ptr<std::byte[]> staged;  // of few bytes; many are read where JavaScript has them
  const std::byte* data;
  std::unique_ptr<Settlement> settlement;
  Promises* promises;

  void run(Executor& executor) noexcept override {
    settlement->error = fill(executor, ref, data);
    promises->settle(settlement.release());
  }
};

// fromArray(handle, data, shape, dtype, device): copies now.
Napi::Value from_array(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const Device device = expect_device(info[4], "tensor");
    TensorRef ref =
        new_tensor(info.Env(), expect_shape(info[2], "tensor", "shape"), expect_dtype(info[3], "tensor"), device);
    const Source source = expect_source(info[1], "tensor", ref);
    if (source.bytes > kMaxSynchronousBytes) {
      throw Error(kArgumentError, "tensor: data has " + std::to_string(source.bytes) + " bytes, expected at most " +
                                      std::to_string(kMaxSynchronousBytes) +
                                      " in a synchronous copy; use `await upload(...)`");
    }
    Storage staged;
    Storage& host = is_cuda(device) ? staged : *ref.storage;
    host.bytes = source.bytes;
    allocate_host(host);
    if (source.bytes > 0) std::memcpy(host.data, source.data, static_cast<size_t>(source.bytes));
    if (is_cuda(device)) {
      auto task = std::make_unique<StagedTask>();
      task->ref = ref;
      task->staged.bytes = host.bytes;
      std::swap(task->staged.data, host.data);
      std::swap(task->staged.release, host.release);
      Context::of(info.Env()).executor(device).enqueue(std::move(task));
    }
    make_tensor(info.Env(), handle_to_fill(info), std::move(ref));
    return info.Env().Undefined();
  });
}

// enqueueUpload(handle, data, shape, dtype, announce, device): a promise that settles once the copy is made, on the stream's
// thread, before any op that is enqueued later. Until then many bytes must stay where they are: a buffer that was handed to
// another thread, or made smaller, would be read all the same. Without `announce` V8 is not told of the bytes: being told of
// tens of MiB, it collects garbage at once, for 10 ms and more.
Napi::Value enqueue_upload(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    const Device device = expect_device(info[5], "upload");
    TensorRef ref = new_tensor(env, expect_shape(info[2], "upload", "shape"), expect_dtype(info[3], "upload"), device);
    const Source source = expect_source(info[1], "upload", ref);
    Context& context = Context::of(env);
    Executor& executor = context.executor(device);
    const Announce announce = info[4].ToBoolean() ? Announce::yes : Announce::no;
    if (source.bytes > kMaxSynchronousBytes && source.array.ArrayBuffer().Get("resizable").ToBoolean()) {
      throw Error(kArgumentError,
                  "upload: data is in a buffer that can be resized, expected one of fixed size: data.slice()");
    }
    make_tensor(env, handle_to_fill(info), ref, announce);
    auto task = std::make_unique<UploadTask>();
    task->ref = std::move(ref);
    task->data = source.data;
    Napi::Value kept = env.Undefined();
    if (source.bytes <= kMaxSynchronousBytes) {
      const auto bytes = static_cast<size_t>(source.bytes);
      task->staged = std::make_unique_for_overwrite<std::byte[]>(bytes);
      if (bytes > 0) std::memcpy(task->staged.get(), source.data, bytes);
      task->data = task->staged.get();
    } else {
      kept = source.array;
    }
    task->settlement.reset(context.promises().open(env, kept));
    task->promises = &context.promises();
    const Napi::Promise copied = task->settlement->deferred.Promise();
    executor.enqueue(std::move(task));
    return copied;
  });
}

struct ReadTask final : Executor::Task {
  TensorRef ref;
  std::byte* destination;
  bool widen;
  std::unique_ptr<Settlement> settlement;
  Promises* promises;

  void run(Executor& executor) noexcept override {
    try {
      expect_filled();
      std::vector<std::byte> host;
      const std::byte* values = ref.raw();
      if (is_cuda(ref.storage->device)) {
        std::byte* to = destination;
        if (widen) {
          host.resize(static_cast<size_t>(ref.bytes()));
          to = host.data();
        }
        executor.stream().download(to, values, ref.bytes());
        expect_filled();  // doubts are decided now
        values = to;
      }
      put(values);
    } catch (const Error& error) {
      settlement->error = error;
      executor.forget(error);
    } catch (const std::bad_alloc&) {
      settlement->error = Error(kOutOfMemoryError, "read: no host memory left");
    }
    promises->settle(settlement.release());
  }

 private:
  void expect_filled() const {
    const Storage& storage = *ref.storage;
    if (!storage.error.empty()) throw Error(storage.error_code, storage.error);
    if (storage.data == nullptr && ref.bytes() > 0) throw Error(kArgumentError, "read: the tensor was never written");
    for (const auto& doubt : storage.doubts) {
      if (doubt->error) throw Error(*doubt->error);
    }
  }
  void put(const std::byte* values) const {
    if (widen) {
      auto* out = reinterpret_cast<float*>(destination);
      by_dtype(ref.dtype, [&]<typename T>(Type<T>) {
        const T* data = reinterpret_cast<const T*>(values);
        for (int64_t i = 0; i < ref.count(); ++i) out[i] = data[i];
      });
    } else if (values != destination && ref.bytes() > 0) {
      std::memcpy(destination, values, static_cast<size_t>(ref.bytes()));
    }
  }
};

// read(tensor, bits): Float32Array (bf16 and f16 widened, or Uint16Array with `bits`), Int32Array or Uint8Array.
Napi::Value read(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    const TensorRef& ref = expect_tensor(env, info[0], "read", "x");
    if (ref.layout == Layout::packed) throw Error(kArgumentError, "read: x is packed, expected rows; unpack it first");
    const bool narrow = ref.dtype == Dtype::bf16 || ref.dtype == Dtype::f16;
    const bool widen = narrow && !info[1].ToBoolean();
    const auto count = static_cast<size_t>(ref.count());
    Napi::ArrayBuffer buffer = Napi::ArrayBuffer::New(env, widen ? count * 4 : static_cast<size_t>(ref.bytes()));
    const Napi::TypedArray result =
        widen || ref.dtype == Dtype::f32 ? Napi::TypedArray(Napi::Float32Array::New(env, count, buffer, 0))
        : ref.dtype == Dtype::i32        ? Napi::TypedArray(Napi::Int32Array::New(env, count, buffer, 0))
        : ref.dtype == Dtype::u8         ? Napi::TypedArray(Napi::Uint8Array::New(env, count, buffer, 0))
                                         : Napi::TypedArray(Napi::Uint16Array::New(env, count, buffer, 0));
    Context& context = Context::of(env);
    Executor& executor = context.executor(ref.storage->device);
    auto task = std::make_unique<ReadTask>();
    task->ref = ref;
    task->destination = static_cast<std::byte*>(buffer.Data());
    task->widen = widen;
    task->settlement.reset(context.promises().open(env, result));
    task->promises = &context.promises();
    const Napi::Promise promise = task->settlement->deferred.Promise();
    executor.enqueue(std::move(task));
    return promise;
  });
}

struct SynchronizeTask final : Executor::Task {
  std::unique_ptr<Settlement> settlement;
  Promises* promises;

  void run(Executor& executor) noexcept override {
    try {
      executor.stream().synchronize();
    } catch (const Error& error) {
      executor.note(error);
    }
    if (const auto noted = executor.take_noted()) settlement->error = *noted;
    promises->settle(settlement.release());
  }
};

// synchronize(device)
Napi::Value synchronize(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    Context& context = Context::of(env);
    Executor& executor = context.executor(expect_device(info[0], "synchronize"));
    auto task = std::make_unique<SynchronizeTask>();
    task->settlement.reset(context.promises().open(env, env.Undefined()));
    task->promises = &context.promises();
    const Napi::Promise promise = task->settlement->deferred.Promise();
    executor.enqueue(std::move(task));
    return promise;
  });
}

// started(): numbers of the devices that something was enqueued on.
Napi::Value started(const Napi::CallbackInfo& info) {
  Napi::Array numbers = Napi::Array::New(info.Env());
  for (const Device device : Context::of(info.Env()).started()) {
    numbers.Set(numbers.Length(), static_cast<double>(device));
  }
  return numbers;
}

}  // namespace

void register_copies(Napi::Env env, Napi::Object exports) {
  const auto add = [&](const char* name, Napi::Value (*function)(const Napi::CallbackInfo&)) {
    exports.Set(name, Napi::Function::New(env, function, name));
  };
  add("fromArray", from_array);
  add("enqueueUpload", enqueue_upload);
  add("read", read);
  add("synchronize", synchronize);
  add("started", started);
}

}  // namespace mglmm
