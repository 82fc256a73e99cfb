#include "binding/tensor.h"

#include <cmath>
#include <cstring>

#include "binding/memory.h"
#include "binding/scalars.h"

namespace mglmm {
namespace {

constexpr napi_type_tag kTensorTag = {0x6d676c6d6d2d7465, 0x6e736f722d763031};
// A synchronous copy in takes about 0.1 ms a MiB on JavaScript's thread, which must never be held for more than 1 ms.
constexpr int64_t kMaxSynchronousBytes = int64_t{8} << 20;

void tell_v8(Napi::Env env, Handle& handle, int64_t bytes) {
  Napi::MemoryManagement::AdjustExternalMemory(env, bytes - handle.told_v8);
  handle.told_v8 = bytes;
}

void drop(Napi::Env env, Handle& handle) {
  tell_v8(env, handle, 0);
  handle.ref.storage.reset();
}

TensorRef new_tensor(const Shape& shape, Dtype dtype) {
  TensorRef ref;
  ref.shape = shape;
  ref.dtype = dtype;
  expect_possible(ref.bytes());
  ref.storage = std::make_shared<Storage>();
  ref.storage->bytes = ref.bytes();
  return ref;
}

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

// The empty handle that each function that makes a tensor is given first.
Handle& handle_to_fill(const Napi::CallbackInfo& info) {
  Handle* handle = handle_of(info.Env(), info[0]);
  if (handle == nullptr || handle->ref.storage) throw Error(kArgumentError, "expected an empty handle");
  return *handle;
}

Napi::Value new_handle(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  auto handle = std::make_unique<Handle>();
  const napi_finalize finalize = [](napi_env raw_env, void* data, void*) {
    const std::unique_ptr<Handle> owned(static_cast<Handle*>(data));
    drop(Napi::Env(raw_env), *owned);
  };
  napi_value external = nullptr;
  if (napi_create_external(env, handle.get(), finalize, nullptr, &external) != napi_ok) throw Napi::Error::New(env);
  static_cast<void>(handle.release());
  if (napi_type_tag_object(env, external, &kTensorTag) != napi_ok) throw Napi::Error::New(env);
  return {env, external};
}

// fromArray(handle, data, shape, dtype): copies now.
Napi::Value from_array(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    TensorRef ref = new_tensor(expect_shape(info[2], "tensor", "shape"), expect_dtype(info[3], "tensor"));
    const Source source = expect_source(info[1], "tensor", ref);
    if (source.bytes > kMaxSynchronousBytes) {
      throw Error(kArgumentError, "tensor: data has " + std::to_string(source.bytes) + " bytes, expected at most " +
                                      std::to_string(kMaxSynchronousBytes) +
                                      " in a synchronous copy; use `await upload(...)`");
    }
    allocate_host(*ref.storage);
    if (source.bytes > 0) std::memcpy(ref.raw(), source.data, static_cast<size_t>(source.bytes));
    make_tensor(info.Env(), handle_to_fill(info), std::move(ref));
    return info.Env().Undefined();
  });
}

struct UploadTask final : Executor::Task {
  TensorRef ref;
  const std::byte* data;
  std::unique_ptr<Settlement> settlement;
  Promises* promises;

  void run(Executor&) noexcept override {
    try {
      allocate_host(*ref.storage);
      if (ref.bytes() > 0) std::memcpy(ref.raw(), data, static_cast<size_t>(ref.bytes()));
    } catch (const Error& error) {
      settlement->error = error;
      ref.storage->error_code = error.code;  // for ops that wait for the copy
      ref.storage->error = error.what();
    }
    promises->settle(settlement.release());
  }
};

// enqueueUpload(handle, data, shape, dtype, announce): a promise that settles once the copy is made, on the stream's thread,
// before any op that is enqueued later. Without `announce` V8 is not told of the bytes: being told of
// tens of MiB, it collects garbage at once, for 10 ms and more.
Napi::Value enqueue_upload(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    TensorRef ref = new_tensor(expect_shape(info[2], "upload", "shape"), expect_dtype(info[3], "upload"));
    const Source source = expect_source(info[1], "upload", ref);
    Context& context = Context::of(env);
    Executor& executor = context.executor();
    const Announce announce = info[4].ToBoolean() ? Announce::yes : Announce::no;
    make_tensor(env, handle_to_fill(info), ref, announce);
    auto task = std::make_unique<UploadTask>();
    task->ref = std::move(ref);
    task->data = source.data;
    task->settlement.reset(context.promises().open(env, source.array));  // which keeps the data alive until then
    task->promises = &context.promises();
    const Napi::Promise copied = task->settlement->deferred.Promise();
    executor.enqueue(std::move(task));
    return copied;
  });
}

// empty(handle, shape, dtype)
Napi::Value empty(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    TensorRef ref = new_tensor(expect_shape(info[1], "empty", "shape"), expect_dtype(info[2], "empty"));
    make_tensor(info.Env(), handle_to_fill(info), std::move(ref), Announce::no);
    return info.Env().Undefined();
  });
}

// mapFile(handle, path, offset, shape, dtype)
Napi::Value map_tensor(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    if (!info[1].IsString()) throw Error(kArgumentError, "mapFile: path is " + describe(info[1]) + ", expected a string");
    TensorRef ref;
    const int64_t offset = expect_integer(info[2], "mapFile", "offset");
    ref.shape = expect_shape(info[3], "mapFile", "shape");
    ref.dtype = expect_dtype(info[4], "mapFile");
    ref.storage = map_file(info[1].As<Napi::String>(), offset, ref.bytes());
    make_tensor(info.Env(), handle_to_fill(info), std::move(ref), Announce::no);
    return info.Env().Undefined();
  });
}

// alias(handle, tensor, shape, offset in elements): another tensor on the same memory.
Napi::Value alias(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    TensorRef ref = expect_tensor(info.Env(), info[1], "reshape", "x");
    if (!info[2].IsUndefined()) {
      const Shape shape = expect_shape(info[2], "reshape", "shape");
      const int64_t offset = info[3].IsUndefined() ? 0 : expect_integer(info[3], "reshape", "offset");
      if (ref.layout == Layout::packed) throw Error(kArgumentError, "reshape: x is packed, expected rows");
      if (offset < 0 || offset > ref.count() || shape.count() > ref.count() - offset) {
        throw Error(kShapeError, "reshape: shape is " + to_string(shape) + " from element " + std::to_string(offset) +
                                     ", expected at most the " + std::to_string(ref.count()) + " elements of x " +
                                     to_string(ref.shape));
      }
      ref.offset += offset * size_of(ref.dtype);
      ref.shape = shape;
    }
    make_tensor(info.Env(), handle_to_fill(info), std::move(ref), Announce::no);
    return info.Env().Undefined();
  });
}

Napi::Value dispose(const Napi::CallbackInfo& info) {
  if (Handle* handle = handle_of(info.Env(), info[0])) drop(info.Env(), *handle);
  return info.Env().Undefined();
}

struct ReadTask final : Executor::Task {
  TensorRef ref;
  std::byte* destination;
  bool widen;
  std::unique_ptr<Settlement> settlement;
  Promises* promises;

  void run(Executor& executor) noexcept override {
    if (!ref.storage->error.empty()) {
      settlement->error = Error(ref.storage->error_code, ref.storage->error);
      executor.take_noted();  // it is told now
    } else if (ref.storage->data == nullptr && ref.bytes() > 0) {
      settlement->error = Error(kArgumentError, "read: the tensor was never written");
    } else if (widen) {
      auto* out = reinterpret_cast<float*>(destination);
      by_dtype(ref.dtype, [&]<typename T>(Type<T>) {
        const T* data = reinterpret_cast<const T*>(ref.raw());
        for (int64_t i = 0; i < ref.count(); ++i) out[i] = data[i];
      });
    } else if (ref.bytes() > 0) {
      std::memcpy(destination, ref.raw(), static_cast<size_t>(ref.bytes()));
    }
    promises->settle(settlement.release());
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
    Executor& executor = context.executor();
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
    if (const auto noted = executor.take_noted()) settlement->error = *noted;
    promises->settle(settlement.release());
  }
};

Napi::Value synchronize(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    Context& context = Context::of(env);
    Executor& executor = context.executor();
    auto task = std::make_unique<SynchronizeTask>();
    task->settlement.reset(context.promises().open(env, env.Undefined()));
    task->promises = &context.promises();
    const Napi::Promise promise = task->settlement->deferred.Promise();
    executor.enqueue(std::move(task));
    return promise;
  });
}

Napi::Value memory(const Napi::CallbackInfo& info) {
  const MemoryFigures figures = memory_figures();
  Napi::Object result = Napi::Object::New(info.Env());
  result.Set("liveBytes", static_cast<double>(figures.live_bytes));
  result.Set("peakBytes", static_cast<double>(figures.peak_bytes));
  result.Set("cachedBytes", static_cast<double>(figures.cached_bytes));
  result.Set("mappedBytes", static_cast<double>(figures.mapped_bytes));
  result.Set("limitBytes", static_cast<double>(figures.limit_bytes));
  return result;
}

// configure({level, threads}): before the first op.
Napi::Value configure(const Napi::CallbackInfo& info) {
  Context& context = Context::of(info.Env());
  const auto options = info[0].As<Napi::Object>();
  if (options.Get("level").IsString()) context.cpu_level = options.Get("level").As<Napi::String>();
  if (options.Get("threads").IsNumber()) context.threads = options.Get("threads").As<Napi::Number>().Int32Value();
  return info.Env().Undefined();
}

Napi::Value backend_name(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    return Napi::String::New(info.Env(), Context::of(info.Env()).executor().backend().name);
  });
}

}  // namespace

void make_tensor(Napi::Env env, Handle& handle, TensorRef ref, Announce announce, int place) {
  ref.wanted = false;  // from here on it is there
  handle.ref = std::move(ref);
  const TensorRef& made = handle.ref;
  double* description = Context::of(env).description_of(place);
  *description++ = static_cast<double>(made.dtype);
  *description++ = static_cast<double>(made.storage->device);
  *description++ = static_cast<double>(made.layout);
  *description++ = static_cast<double>(made.shape.rank);
  for (int axis = 0; axis < made.shape.rank; ++axis) description[axis] = static_cast<double>(made.shape[axis]);
  if (announce == Announce::yes) tell_v8(env, handle, made.storage->bytes);
}

Handle* handle_of(Napi::Env env, Napi::Value value) {
  if (!value.IsExternal()) return nullptr;
  bool tagged = false;
  if (napi_check_object_type_tag(env, value, &kTensorTag, &tagged) != napi_ok || !tagged) return nullptr;
  void* data = nullptr;
  return napi_get_value_external(env, value, &data) == napi_ok ? static_cast<Handle*>(data) : nullptr;
}

const TensorRef& expect_tensor(Napi::Env env, Napi::Value value, std::string_view op, const std::string& field) {
  const Handle* handle = handle_of(env, value);
  if (handle == nullptr || handle->ref.storage == nullptr) {
    throw Error(kArgumentError, std::string(op) + ": " + field + " is " + describe(value) + ", expected a tensor");
  }
  return handle->ref;
}

void register_tensor(Napi::Env env, Napi::Object exports) {
  Context& context = Context::of(env);
  auto described = Napi::Float64Array::New(env, size_t{Context::kMaxOutputs} * Context::kDescription);
  context.described = Napi::Reference<Napi::Float64Array>::New(described, 1);
  context.description = described.Data();
  exports.Set("described", described);
  const auto add = [&](const char* name, Napi::Value (*function)(const Napi::CallbackInfo&)) {
    exports.Set(name, Napi::Function::New(env, function, name));
  };
  add("newHandle", new_handle);
  add("configure", configure);
  add("backendName", backend_name);
  add("fromArray", from_array);
  add("enqueueUpload", enqueue_upload);
  add("empty", empty);
  add("mapFile", map_tensor);
  add("alias", alias);
  add("dispose", dispose);
  add("read", read);
  add("synchronize", synchronize);
  add("memory", memory);
  exports.Set("resetPeak", Napi::Function::New(env, [](const Napi::CallbackInfo&) { reset_peak(); }));
  exports.Set("trimMemory", Napi::Function::New(env, [](const Napi::CallbackInfo&) { trim_memory(); }));
  exports.Set("setMemoryLimit", Napi::Function::New(env, [](const Napi::CallbackInfo& info) {
                set_memory_limit(info[0].As<Napi::Number>().Int64Value());
              }));
  exports.Set("pending", Napi::Function::New(env, [](const Napi::CallbackInfo& info) -> Napi::Value {
                return Napi::Number::New(info.Env(), static_cast<double>(Context::of(info.Env()).executor().pending()));
              }));
}

}  // namespace mglmm
