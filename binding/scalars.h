// JavaScript values as the contract's plain types, or a typed error that names op and argument.
#pragma once
#include <napi.h>

#include <string>
#include <string_view>

#include "kernels/error.h"
#include "kernels/tensor.h"

namespace mglmm {

// What a value is, for a message: `undefined`, `a string`, `3`, `Float64Array`.
std::string describe(const Napi::Value& value);

Shape expect_shape(const Napi::Value& value, std::string_view op, const std::string& field);
Dtype expect_dtype(const Napi::Value& value, std::string_view op);
// A device's number: lib/tensor/device.ts has the names.
Device expect_device(const Napi::Value& value, std::string_view op);
double expect_number(const Napi::Value& value, std::string_view op, const std::string& field);
int64_t expect_integer(const Napi::Value& value, std::string_view op, const std::string& field);
bool expect_boolean(const Napi::Value& value, std::string_view op, const std::string& field);

}  // namespace mglmm
