// One JavaScript function an op: reads the op's fields from its arguments, checks, makes the outputs, enqueues or records.
#pragma once
#include <napi.h>

#include <algorithm>
#include <array>
#include <concepts>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "binding/memory.h"
#include "binding/program.h"
#include "binding/scalars.h"
#include "binding/tensor.h"
#include "kernels/ops.h"

namespace mglmm {

template <typename Field>
concept Input = std::same_as<Field, ConstTensor> || std::same_as<Field, Weight> || std::same_as<Field, MaybeTensor>;
template <typename Field>
concept Output = std::same_as<Field, Tensor> || std::same_as<Field, Saved>;
// An enum of the contract lists its JavaScript names: constexpr const char* const* enum_names(Interpolation).
template <typename Field>
concept NamedEnum = std::is_enum_v<Field>;

template <typename Op>
class OpStep final : public Step {
 public:
  explicit OpStep(Op op) : op_(std::move(op)) {}

  void run(Executor& executor, const CancelToken* token) noexcept override {
    Stream* stream = nullptr;
    try {
      if (token != nullptr && token->cancelled)
        throw Error(kAbortedError, std::string(Op::name) + ": aborted before it ran");
      stream = &executor.stream();
      stream->doubts.clear();
      op_.fields([&](const char*, auto& field) { ready(field, *stream); });
    } catch (const Error& error) {
      fail(executor, error, false);
      return;
    }
    try {
      executor.backend().run(op_index<Op>, &op_, *stream);
      op_.fields([&](const char*, auto& field) { done(field, *stream); });
    } catch (const Error& error) {
      fail(executor, error, true);
    } catch (const std::bad_alloc&) {
      fail(executor, Error(kOutOfMemoryError, std::string(Op::name) + ": no host memory left"), true);
    } catch (const std::exception& error) {
      fail(executor, Error(kKernelError, std::string(Op::name) + ": " + error.what()), true);
    }
    stream->keep_scratch(0);
  }

  void storages(const std::function<void(const std::shared_ptr<Storage>&, Use)>& visit) override {
    op_.fields([&](const char*, auto& field) { storages_of(field, visit); });
  }

 private:
  static void expect_filled(const TensorRef& ref, Stream& stream) {
    if (ref.storage == nullptr) return;
    if (!ref.storage->error.empty()) throw Error(ref.storage->error_code, ref.storage->error);
    for (const auto& doubt : ref.storage->doubts) {
      if (doubt->error) throw Error(*doubt->error);
      if (doubt->decided) continue;
      // Once, however many ways it comes: along residual connections it would be twice as many with each.
      const bool is_known = std::find(stream.doubts.begin(), stream.doubts.end(), doubt) != stream.doubts.end();
      if (!is_known) stream.doubts.push_back(doubt);
    }
    if (ref.storage->data == nullptr && ref.bytes() > 0) {
      throw Error(kArgumentError, std::string(Op::name) + ": an input was never written");
    }
  }
  template <typename Field>
  static void ready(Field& field, Stream& stream) {
    if constexpr (std::same_as<Field, MaybeTensor>) {
      if (field) expect_filled(*field, stream);
    } else if constexpr (Input<Field> || std::same_as<Field, InOut>) {
      expect_filled(field, stream);
    } else if constexpr (Output<Field>) {
      if (!field.storage) return;
      field.storage->error.clear();  // of an earlier run of a program
      stream.allocate(*field.storage);
    } else if constexpr (requires { field.begin()->storage; }) {
      for (auto& element : field) ready(element, stream);
    }
  }
  // What was made of doubtful values is doubtful; what they were appended to holds what it held, and its op's outputs tell.
  template <typename Field>
  static void done(Field& field, const Stream& stream) {
    if constexpr (Output<Field> || std::same_as<Field, InOut>) {
      if (field.storage && !(std::same_as<Field, InOut> && appends())) field.storage->doubts = stream.doubts;
    } else if constexpr (requires { field.begin()->storage; }) {
      for (auto& element : field) done(element, stream);
    }
  }
  template <typename Field>
  static void poison(Field& field, const Error& error, bool started) {
    if constexpr (Output<Field> || std::same_as<Field, InOut>) {
      if (!field.storage || (std::same_as<Field, InOut> && (!started || appends()))) return;
      field.storage->error_code = error.code;
      field.storage->error = error.what();
    } else if constexpr (requires { field.begin()->storage; }) {
      for (auto& element : field) poison(element, error, started);
    }
  }
  template <typename Field, typename Visit>
  static void storages_of(Field& field, const Visit& visit) {
    if constexpr (std::same_as<Field, MaybeTensor>) {
      if (field) visit(field->storage, Use::reads);
    } else if constexpr (Input<Field> || Output<Field> || std::same_as<Field, InOut>) {
      constexpr Use kUse = Output<Field> ? Use::makes : std::same_as<Field, InOut> ? Use::changes : Use::reads;
      if (field.storage) visit(field.storage, kUse);
    } else if constexpr (requires { field.begin()->storage; }) {
      for (auto& element : field) storages_of(element, visit);
    }
  }
  // Whether what it changes in place holds, in case of an error, all that it held before.
  static constexpr bool appends() {
    if constexpr (requires { Op::kAppends; }) return Op::kAppends;
    return false;
  }
  // What the op should have filled tells its readers why it is not; what it would have changed is untouched if it never
  // started.
  void fail(Executor& executor, const Error& error, bool started) {
    op_.fields([&](const char*, auto& field) { poison(field, error, started); });
    if (!error.is(kAbortedError)) executor.note(error);
  }

  Op op_;
};

// A step that runs once.
template <typename Op>
class OpTask final : public Executor::Task {
 public:
  OpTask(Op op, std::shared_ptr<CancelToken> token) : step_(std::move(op)), token_(std::move(token)) {}
  void run(Executor& executor) noexcept override { step_.run(executor, token_.get()); }

 private:
  OpStep<Op> step_;
  std::shared_ptr<CancelToken> token_;
};

// Takes the fields of an op, in their order, from the arguments that follow the first.
template <typename Op>
class Reader {
 public:
  explicit Reader(const Napi::CallbackInfo& info) : info_(info), env_(info.Env()) {}

  template <typename Field>
  void operator()(const char* name, Field& field) {
    const Napi::Value value = info_[++argument_];
    if constexpr (std::same_as<Field, MaybeTensor>) {
      if (!value.IsUndefined() && !value.IsNull()) field = ConstTensor{expect(value, name, false)};
    } else if constexpr (std::same_as<Field, Weight>) {
      static_cast<TensorRef&>(field) = expect(value, name, true);
    } else if constexpr (Input<Field> || std::same_as<Field, InOut>) {
      static_cast<TensorRef&>(field) = expect(value, name, false);
    } else if constexpr (Output<Field>) {
      Handle* const handle = handle_of(env_, value);
      if (handle != nullptr && handle->ref.storage == nullptr) {
        field.wanted = true;
        to_make[output_count] = handle;
      } else if (!value.IsUndefined()) {
        static_cast<TensorRef&>(field) = expect(value, name, false);
      }
      ++output_count;
    } else if constexpr (requires { field.begin()->storage; }) {
      if (!value.IsArray()) refuse(name, value, "an array of tensors");
      const auto array = value.As<Napi::Array>();
      for (uint32_t i = 0; i < array.Length(); ++i) {
        typename Field::value_type element;
        static_cast<TensorRef&>(element) =
            expect(array.Get(i), (std::string(name) + "[" + std::to_string(i) + "]").c_str(), false);
        field.push_back(std::move(element));
      }
    } else if constexpr (std::same_as<Field, Shape>) {
      field = expect_shape(value, op_, name);
    } else if constexpr (requires { field.begin(); }) {
      if (!value.IsArray()) refuse(name, value, "an array of numbers");
      const auto array = value.As<Napi::Array>();
      for (uint32_t i = 0; i < array.Length(); ++i) {
        typename Field::value_type element{};
        scalar((std::string(name) + "[" + std::to_string(i) + "]").c_str(), array.Get(i), element);
        field.push_back(element);
      }
    } else if (!value.IsUndefined()) {
      scalar(name, value, field);
    }
  }

  // By output, in the order of the fields: the handle to fill if it is to be made.
  std::array<Handle*, Context::kMaxOutputs> to_make{};
  size_t output_count = 0;

 private:
  template <typename Scalar>
  void scalar(const char* name, const Napi::Value& value, Scalar& field) {
    if constexpr (std::same_as<Scalar, bool>) {
      field = expect_boolean(value, op_, name);
    } else if constexpr (std::same_as<Scalar, Dtype>) {
      field = expect_dtype(value, op_);
    } else if constexpr (std::floating_point<Scalar>) {
      field = static_cast<Scalar>(expect_number(value, op_, name));
    } else if constexpr (std::integral<Scalar>) {
      const int64_t number = expect_integer(value, op_, name);
      if (!std::in_range<Scalar>(number)) refuse(name, value, "an integer within range");
      field = static_cast<Scalar>(number);
    } else {
      std::string choices;
      int index = 0;
      for (const char* choice : enum_names(field)) {
        if (value.IsString() && value.As<Napi::String>().Utf8Value() == choice) {
          field = static_cast<Scalar>(index);
          return;
        }
        choices += (index++ ? ", \"" : "\"") + std::string(choice) + "\"";
      }
      refuse(name, value, "one of " + choices);
    }
  }
  [[noreturn]] void refuse(const char* name, const Napi::Value& value, const std::string& expected) {
    throw Error(kArgumentError, std::string(op_) + ": " + name + " is " + describe(value) + ", expected " + expected);
  }
  TensorRef expect(const Napi::Value& value, const char* name, bool packed_allowed) {
    const TensorRef& ref = expect_tensor(env_, value, op_, name);
    if (ref.layout == Layout::packed && !packed_allowed) {
      throw Error(kArgumentError, std::string(op_) + ": " + name + " is packed, expected rows");
    }
    const Device device = ref.storage->device;
    if (!device_) device_ = device;
    if (device != *device_) {
      throw Error(kDeviceError, std::string(op_) + ": " + name + " is on " + to_string(device) + ", expected " +
                                    to_string(*device_) + ", the device of the other tensors");
    }
    return ref;
  }

 public:
  // That of the tensors; without any the number that follows the fields.
  Device device() const { return device_ ? *device_ : expect_device(info_[argument_ + 1], op_); }

 private:
  const Napi::CallbackInfo& info_;
  Napi::Env env_;
  size_t argument_ = 0;
  std::optional<Device> device_;  // of the first tensor: the others must be on it
  static constexpr std::string_view op_ = Op::name;
};

// name(token, ...fields, device): fields in the order of the struct, tensors as their handles, an output that is to be made
// as an empty handle and one that is not wanted as undefined; the device counts where no field is a tensor.
// lib/autograd/run.ts calls it, by names.
template <typename Op>
Napi::Value call(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    Op op;
    Reader<Op> reader(info);
    op.fields(reader);
    check(op);
    Context& context = Context::of(env);
    const Device device = reader.device();
    Executor& executor = context.executor(device);
    size_t output = 0;
    int place = 0;
    op.fields([&]<typename Field>(const char*, Field& field) {
      if constexpr (Output<Field>) {
        Handle* const handle = reader.to_make[output++];
        if (handle == nullptr) return;
        if (field.wanted) {
          executor.expect_possible(field.bytes());
          field.storage = std::make_shared<Storage>();
          field.storage->device = device;
          field.storage->bytes = field.bytes();
          make_tensor(env, *handle, field, Announce::yes, place);
        } else {
          context.describe_none(place);  // this variant of the op has no such output
        }
        ++place;
      }
    });
    if (context.recording) {
      context.recording->add(std::make_unique<OpStep<Op>>(std::move(op)), device);
    } else {
      executor.enqueue(std::make_unique<OpTask<Op>>(std::move(op), token_of(info[0])));
    }
    return env.Undefined();
  });
}

// {field: "in" | "maybe" | "ins" | "out" | "saved" | "inout" | "inouts" | "value"}: what lib/autograd knows of an op.
template <typename Op>
Napi::Object describe_fields(Napi::Env env) {
  Napi::Object result = Napi::Object::New(env);
  Op op;
  int outputs = 0;
  op.fields([&]<typename Field>(const char* name, Field&) {
    if (Output<Field> && ++outputs > Context::kMaxOutputs) Napi::Error::Fatal("mglmm", "an op has too many outputs");
    const char* kind = "value";
    if constexpr (std::same_as<Field, MaybeTensor>)
      kind = "maybe";
    else if constexpr (Input<Field>)
      kind = "in";
    else if constexpr (std::same_as<Field, Saved>)
      kind = "saved";
    else if constexpr (std::same_as<Field, Tensor>)
      kind = "out";
    else if constexpr (std::same_as<Field, InOut>)
      kind = "inout";
    else if constexpr (std::same_as<Field, std::vector<ConstTensor>>)
      kind = "ins";
    else if constexpr (std::same_as<Field, std::vector<InOut>>)
      kind = "inouts";
    result.Set(name, kind);
  });
  return result;
}

}  // namespace mglmm
