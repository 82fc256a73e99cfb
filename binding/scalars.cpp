#include "binding/scalars.h"

#include <cmath>
#include <cstdio>

namespace mglmm {

std::string describe(const Napi::Value& value) {
  switch (value.Type()) {
    case napi_undefined: return "undefined";
    case napi_null: return "null";
    case napi_boolean: return value.As<Napi::Boolean>().Value() ? "true" : "false";
    case napi_number: {
      const double number = value.As<Napi::Number>().DoubleValue();
      if (std::isnan(number)) return "NaN";
      if (std::isinf(number)) return number > 0 ? "Infinity" : "-Infinity";
      char text[32];
      std::snprintf(text, sizeof text, "%.17g", number);
      char shorter[32];
      std::snprintf(shorter, sizeof shorter, "%.6g", number);
      return std::stod(shorter) == number ? shorter : text;
    }
    case napi_string: return "\"" + value.As<Napi::String>().Utf8Value().substr(0, 40) + "\"";
    case napi_symbol: return "a symbol";
    case napi_function: return "a function";
    case napi_bigint: return "a bigint";
    case napi_external: return "an external";
    default: break;
  }
  if (value.IsTypedArray()) {
    constexpr const char* names[] = {"Int8Array",    "Uint8Array",    "Uint8ClampedArray", "Int16Array",
                                     "Uint16Array",  "Int32Array",    "Uint32Array",       "Float32Array",
                                     "Float64Array", "BigInt64Array", "BigUint64Array"};
    const auto type = static_cast<size_t>(value.As<Napi::TypedArray>().TypedArrayType());
    return type < std::size(names) ? names[type] : "a typed array";
  }
  return value.IsArray() ? "an array" : "an object";
}

double expect_number(const Napi::Value& value, std::string_view op, const std::string& field) {
  if (!value.IsNumber())
    throw Error(kArgumentError, std::string(op) + ": " + field + " is " + describe(value) + ", expected a number");
  return value.As<Napi::Number>().DoubleValue();
}

int64_t expect_integer(const Napi::Value& value, std::string_view op, const std::string& field) {
  const double number = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : NAN;
  if (std::isnan(number) || number != std::floor(number) || std::abs(number) > 9007199254740991.0) {
    throw Error(kArgumentError, std::string(op) + ": " + field + " is " + describe(value) + ", expected an integer");
  }
  return static_cast<int64_t>(number);
}

bool expect_boolean(const Napi::Value& value, std::string_view op, const std::string& field) {
  if (!value.IsBoolean())
    throw Error(kArgumentError, std::string(op) + ": " + field + " is " + describe(value) + ", expected true or false");
  return value.As<Napi::Boolean>().Value();
}

Shape expect_shape(const Napi::Value& value, std::string_view op, const std::string& field) {
  if (!value.IsArray())
    throw Error(kArgumentError, std::string(op) + ": " + field + " is " + describe(value) + ", expected an array of sizes");
  const auto array = value.As<Napi::Array>();
  Shape shape;
  try {
    for (uint32_t i = 0; i < array.Length(); ++i)
      shape.push(expect_integer(array.Get(i), op, field + "[" + std::to_string(i) + "]"));
  } catch (const Error& error) {
    if (!error.is(kShapeError)) throw;
    throw Error(kShapeError, std::string(op) + ": " + field + ": " + error.what());
  }
  return shape;
}

Dtype expect_dtype(const Napi::Value& value, std::string_view op) {
  if (value.IsString()) {
    const std::string name = value.As<Napi::String>();
    for (const Dtype dtype : {Dtype::f32, Dtype::bf16, Dtype::f16, Dtype::i32, Dtype::u8}) {
      if (name == to_string(dtype)) return dtype;
    }
  }
  throw Error(kArgumentError, std::string(op) + ": dtype is " + describe(value) +
                                  ", expected \"f32\", \"bf16\", \"f16\", \"i32\" or \"u8\"");
}

Device expect_device(const Napi::Value& value, std::string_view op) {
  const int64_t number = value.IsUndefined() ? 0 : expect_integer(value, op, "device");
  if (number < 0 || number > 255)
    throw Error(kDeviceError, std::string(op) + ": there is no device of number " + std::to_string(number));
  return static_cast<Device>(number);
}

}  // namespace mglmm
