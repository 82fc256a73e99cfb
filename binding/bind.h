// One JavaScript function an op: reads the op's fields from an object, checks, makes the outputs, enqueues or records.
#pragma once
#include <napi.h>

#include <concepts>
#include <functional>
#include <memory>
#include <string>
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
  explicit OpStep(const Op& op) : op_(op) {}

  void run(Executor& executor, const CancelToken* token) noexcept override {
    try {
      if (token != nullptr && token->cancelled)
        throw Error(kAbortedError, std::string(Op::name) + ": aborted before it ran");
      op_.fields([](const char*, auto& field) { ready(field); });
    } catch (const Error& error) {
      fail(executor, error, false);
      return;
    }
    try {
      executor.backend().run(op_index<Op>, &op_, executor);
    } catch (const Error& error) {
      fail(executor, error, true);
    } catch (const std::bad_alloc&) {
      fail(executor, Error(kOutOfMemoryError, std::string(Op::name) + ": no host memory left"), true);
    } catch (const std::exception& error) {
      fail(executor, Error(kKernelError, std::string(Op::name) + ": " + error.what()), true);
    }
    executor.release_scratch();
  }

  void storages(const std::function<void(const std::shared_ptr<Storage>&, bool made)>& visit) override {
    op_.fields([&](const char*, auto& field) { storages_of(field, visit); });
  }

 private:
  static void expect_filled(const TensorRef& ref) {
    if (ref.storage == nullptr) return;
    if (!ref.storage->error.empty()) throw Error(ref.storage->error_code, ref.storage->error);
    if (ref.storage->data == nullptr && ref.bytes() > 0) {
      throw Error(kArgumentError, std::string(Op::name) + ": an input was never written");
    }
  }
  template <typename Field>
  static void ready(Field& field) {
    if constexpr (std::same_as<Field, MaybeTensor>) {
      if (field) expect_filled(*field);
    } else if constexpr (Input<Field> || std::same_as<Field, InOut>) {
      expect_filled(field);
    } else if constexpr (Output<Field>) {
      if (!field.storage) return;
      field.storage->error.clear();  // of an earlier run of a program
      allocate_host(*field.storage);
    } else if constexpr (requires { field.begin()->storage; }) {
      for (auto& element : field) ready(element);
    }
  }
  template <typename Field>
  static void poison(Field& field, const Error& error, bool started) {
    if constexpr (Output<Field> || std::same_as<Field, InOut>) {
      if (!field.storage || (std::same_as<Field, InOut> && !started)) return;
      field.storage->error_code = error.code;
      field.storage->error = error.what();
    } else if constexpr (requires { field.begin()->storage; }) {
      for (auto& element : field) poison(element, error, started);
    }
  }
  template <typename Field, typename Visit>
  static void storages_of(Field& field, const Visit& visit) {
    if constexpr (std::same_as<Field, MaybeTensor>) {
      if (field) visit(field->storage, false);
    } else if constexpr (Input<Field> || Output<Field> || std::same_as<Field, InOut>) {
      if (field.storage) visit(field.storage, Output<Field>);
    } else if constexpr (requires { field.begin()->storage; }) {
      for (auto& element : field) storages_of(element, visit);
    }
  }
  // What the op should have filled tells its readers why it is not; what it would have changed is untouched if it never
  // started.
  void fail(Executor& executor, const Error& error, bool started) {
    op_.fields([&](const char*, auto& field) { poison(field, error, started); });
    if (!error.is(kAbortedError)) executor.note(error);
  }

  Op op_;
};

template <typename Op>
class Reader {
 public:
  Reader(Napi::Env env, Napi::Object fields, Napi::Value wanted) : env_(env), fields_(fields), wanted_(wanted) {}

  template <typename Field>
  void operator()(const char* name, Field& field) {
    const Napi::Value value = fields_.Get(name);
    if constexpr (std::same_as<Field, MaybeTensor>) {
      if (!value.IsUndefined() && !value.IsNull()) field = ConstTensor{expect(value, name, false)};
    } else if constexpr (std::same_as<Field, Weight>) {
      static_cast<TensorRef&>(field) = expect(value, name, true);
    } else if constexpr (Input<Field> || std::same_as<Field, InOut>) {
      static_cast<TensorRef&>(field) = expect(value, name, false);
    } else if constexpr (Output<Field>) {
      if (!value.IsUndefined()) {
        static_cast<TensorRef&>(field) = expect(value, name, false);
      } else {
        field.wanted = is_wanted(name, std::same_as<Field, Tensor>);
      }
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

  std::shared_ptr<Storage> first_storage;  // of any tensor: the others must be on its device

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
    throw Error(kArgumentError, op_ + ": " + name + " is " + describe(value) + ", expected " + expected);
  }
  TensorRef expect(const Napi::Value& value, const char* name, bool packed_allowed) {
    const TensorRef& ref = expect_tensor(env_, value, op_, name);
    if (ref.layout == Layout::packed && !packed_allowed) {
      throw Error(kArgumentError, op_ + ": " + name + " is packed, expected rows");
    }
    if (first_storage == nullptr) first_storage = ref.storage;
    if (ref.storage->device != first_storage->device) {
      throw Error(kDeviceError, op_ + ": " + name + " is on " + to_string(ref.storage->device) + ", expected " +
                                    to_string(first_storage->device) + ", the device of the other tensors");
    }
    return ref;
  }
  bool is_wanted(const char* name, bool by_default) {
    if (!wanted_.IsArray()) return by_default;
    const auto names = wanted_.As<Napi::Array>();
    for (uint32_t i = 0; i < names.Length(); ++i) {
      if (names.Get(i).ToString().Utf8Value() == name) return true;
    }
    return false;
  }

  Napi::Env env_;
  Napi::Object fields_;
  Napi::Value wanted_;
  std::string op_ = std::string(Op::name);
};

// name(fields, wanted?, token?) -> {output: Tensor}. `wanted` lists the outputs to make; without it all but `Saved` ones.
template <typename Op>
Napi::Value call(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    if (!info[0].IsObject()) {
      throw Error(kArgumentError, std::string(Op::name) + ": fields are " + describe(info[0]) + ", expected an object");
    }
    Op op;
    Reader<Op> reader(env, info[0].As<Napi::Object>(), info[1]);
    op.fields(reader);
    check(op);
    Context& context = Context::of(env);
    Executor& executor = context.executor();
    Napi::Object result = Napi::Object::New(env);
    op.fields([&]<typename Field>(const char* name, Field& field) {
      if constexpr (Output<Field>) {
        if (!field.wanted) return;
        expect_possible(field.bytes());
        field.storage = std::make_shared<Storage>();
        field.storage->bytes = field.bytes();
        result.Set(name, make_tensor(env, field));
      }
    });
    auto step = std::make_unique<OpStep<Op>>(op);
    if (context.recording) {
      context.recording->add(std::move(step));
    } else {
      executor.enqueue(std::make_unique<StepTask>(std::move(step), token_of(info[2])));
    }
    return result;
  });
}

// {field: "in" | "maybe" | "ins" | "out" | "saved" | "inout" | "inouts" | "value"}: what lib/autograd knows of an op.
template <typename Op>
Napi::Object describe_fields(Napi::Env env) {
  Napi::Object result = Napi::Object::New(env);
  Op op;
  op.fields([&]<typename Field>(const char* name, Field&) {
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
