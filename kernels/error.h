// Typed errors of the contract. `code` travels to JavaScript, where lib/errors.ts turns it into a class.
#pragma once
#include <stdexcept>
#include <string>
#include <string_view>

namespace mglmm {

struct Error : std::runtime_error {
  const char* code;
  Error(const char* error_code, const std::string& message) : std::runtime_error(message), code(error_code) {}
  // By text: a backend is a library of its own, with its own copy of each constant.
  bool is(std::string_view other) const { return code == other; }
};

inline constexpr const char* kShapeError = "MGLMM_SHAPE";
inline constexpr const char* kDtypeError = "MGLMM_DTYPE";
inline constexpr const char* kArgumentError = "MGLMM_ARGUMENT";
inline constexpr const char* kDeviceError = "MGLMM_DEVICE";
inline constexpr const char* kDisposedError = "MGLMM_DISPOSED";
inline constexpr const char* kOutOfMemoryError = "MGLMM_OUT_OF_MEMORY";
inline constexpr const char* kAbortedError = "MGLMM_ABORTED";
inline constexpr const char* kKernelError = "MGLMM_KERNEL";

}  // namespace mglmm
