#include "binding/tensor.h"

#include "binding/memory.h"
#include "binding/scalars.h"

namespace mglmm {
namespace {

constexpr napi_type_tag kTensorTag = {0x6d676c6d6d2d7465, 0x6e736f722d763031};

void tell_v8(Napi::Env env, Handle& handle, int64_t bytes) {
  if (bytes == handle.told_v8) return;
  Napi::MemoryManagement::AdjustExternalMemory(env, bytes - handle.told_v8);
  handle.told_v8 = bytes;
}

void drop(Napi::Env env, Handle& handle) {
  tell_v8(env, handle, 0);
  handle.ref.storage.reset();
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

// empty(handle, shape, dtype, device)
Napi::Value empty(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    TensorRef ref = new_tensor(info.Env(), expect_shape(info[1], "empty", "shape"), expect_dtype(info[2], "empty"),
                               expect_device(info[3], "empty"));
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

// announce(tensor): to the garbage collector, which is to free it.
Napi::Value announce(const Napi::CallbackInfo& info) {
  if (Handle* handle = handle_of(info.Env(), info[0])) tell_v8(info.Env(), *handle, handle->own_bytes);
  return info.Env().Undefined();
}

// memory(device)
Napi::Value memory(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const Device device = expect_device(info[0], "memory");
    const MemoryFigures figures = is_cuda(device) ? Context::of(info.Env()).executor(device).memory() : memory_figures();
    Napi::Object result = Napi::Object::New(info.Env());
    result.Set("liveBytes", static_cast<double>(figures.live_bytes));
    result.Set("peakBytes", static_cast<double>(figures.peak_bytes));
    result.Set("cachedBytes", static_cast<double>(figures.cached_bytes));
    result.Set("mappedBytes", static_cast<double>(figures.mapped_bytes));
    result.Set("limitBytes", static_cast<double>(figures.limit_bytes));
    return result;
  });
}

// What the stream does in its turn: for a device other than the CPU.
struct StreamTask final : Executor::Task {
  void (*act)(Executor&, int64_t);
  int64_t argument;
  void run(Executor& executor) noexcept override {
    try {
      act(executor, argument);
    } catch (const Error& error) {
      executor.note(error);
    }
  }
};

// At once on the CPU, in the order of the stream elsewhere.
Napi::Value change_stream(const Napi::CallbackInfo& info, int64_t argument, const Napi::Value& device_number,
                          void (*at_once)(int64_t), void (*act)(Executor&, int64_t)) {
  return guarded(info.Env(), [&] {
    const Device device = expect_device(device_number, "device");
    if (is_cuda(device)) {
      auto task = std::make_unique<StreamTask>();
      task->act = act;
      task->argument = argument;
      Context::of(info.Env()).executor(device).enqueue(std::move(task));
    } else {
      at_once(argument);
    }
    return info.Env().Undefined();
  });
}

// devices(): {count, cudaProblem}: how many there are in all, and why there is no GPU among them.
Napi::Value devices(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    std::string why;
    const int count = Context::of(info.Env()).cuda_count(&why);
    Napi::Object result = Napi::Object::New(info.Env());
    result.Set("count", 1 + count);
    if (count == 0) result.Set("cudaProblem", why);
    return result;
  });
}

// configure({level, cuda, threads}): before the first op.
Napi::Value configure(const Napi::CallbackInfo& info) {
  Context& context = Context::of(info.Env());
  const auto options = info[0].As<Napi::Object>();
  if (options.Get("level").IsString()) context.cpu_level = options.Get("level").As<Napi::String>();
  if (options.Get("cuda").IsString()) context.cuda_variant = options.Get("cuda").As<Napi::String>();
  if (options.Get("threads").IsNumber()) context.threads = options.Get("threads").As<Napi::Number>().Int32Value();
  return info.Env().Undefined();
}

Napi::Value backend_name(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    return Napi::String::New(info.Env(),
                             Context::of(info.Env()).executor(expect_device(info[0], "backendName")).backend().name);
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
  handle.own_bytes = announce == Announce::yes ? made.storage->bytes : 0;
}

TensorRef new_tensor(Napi::Env env, const Shape& shape, Dtype dtype, Device device) {
  TensorRef ref;
  ref.shape = shape;
  ref.dtype = dtype;
  if (is_cuda(device))
    Context::of(env).executor(device).expect_possible(ref.bytes());
  else
    expect_possible(ref.bytes());
  ref.storage = std::make_shared<Storage>();
  ref.storage->device = device;
  ref.storage->bytes = ref.bytes();
  return ref;
}

Handle& handle_to_fill(const Napi::CallbackInfo& info) {
  Handle* handle = handle_of(info.Env(), info[0]);
  if (handle == nullptr || handle->ref.storage) throw Error(kArgumentError, "expected an empty handle");
  return *handle;
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
  add("empty", empty);
  add("mapFile", map_tensor);
  add("alias", alias);
  add("dispose", dispose);
  add("announce", announce);
  add("memory", memory);
  add("devices", devices);
  add("resetPeak", [](const Napi::CallbackInfo& info) {
    return change_stream(
        info, 0, info[0], [](int64_t) { reset_peak(); },
        [](Executor& executor, int64_t) { executor.stream().reset_peak(); });
  });
  add("trimMemory", [](const Napi::CallbackInfo& info) {
    return change_stream(
        info, 0, info[0], [](int64_t) { trim_memory(); },
        [](Executor& executor, int64_t) { executor.stream().trim_memory(); });
  });
  add("setMemoryLimit", [](const Napi::CallbackInfo& info) {
    return change_stream(info, info[0].As<Napi::Number>().Int64Value(), info[1], set_memory_limit,
                         [](Executor& executor, int64_t bytes) { executor.set_memory_limit(bytes); });
  });
  add("setTf32", [](const Napi::CallbackInfo& info) {
    return change_stream(
        info, info[0].As<Napi::Boolean>().Value() ? 1 : 0, info[1], [](int64_t) {},
        [](Executor& executor, int64_t allowed) { executor.stream().allow_tf32(allowed != 0); });
  });
  exports.Set("pending", Napi::Function::New(env, [](const Napi::CallbackInfo& info) -> Napi::Value {
                Context& context = Context::of(info.Env());
                int64_t pending = 0;
                for (const Device device : context.started()) pending += context.executor(device).pending();
                return Napi::Number::New(info.Env(), static_cast<double>(pending));
              }));
}

}  // namespace mglmm
