// Tensors as an op sees them: memory, shape, dtype. The kind of a struct's field says what the op does with it:
// ConstTensor and Weight are read, Tensor is made, Saved is made only when a gradient will need it, InOut is changed.
#pragma once
#include <atomic>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kernels/dtype.h"
#include "kernels/panels.h"
#include "kernels/shape.h"
#include "kernels/stream.h"

namespace mglmm {

// The CPU, or from cuda0 on a GPU by its number.
enum class Device : uint8_t { cpu, cuda0 };
constexpr bool is_cuda(Device device) { return device != Device::cpu; }
constexpr int index_of(Device device) { return static_cast<int>(device) - static_cast<int>(Device::cuda0); }
inline std::string to_string(Device device) { return is_cuda(device) ? "cuda:" + std::to_string(index_of(device)) : "cpu"; }

// `rows`: dense row-major. `packed`: the order the products like best (kernels/panels.h), made once by the op `pack`; only a
// `Weight` field takes it.
enum class Layout : uint8_t { rows, packed };

// Memory of one or more tensors. It is allocated in stream order, when the first op that writes it runs, so a program
// that enqueues far ahead needs no more memory than one that does not.
struct Storage {
  Device device = Device::cpu;
  int64_t bytes = 0;
  std::byte* data = nullptr;
  const char* error_code = nullptr;  // with `error`, set by the executor when the op that should have filled it failed
  std::string error;
  Doubts doubts;  // of the values it was made from
  void (*release)(Storage&) = nullptr;
  std::shared_ptr<void> owner;  // of the memory, where `release` needs one
  Storage() = default;
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;
  ~Storage() {
    if (release) release(*this);
  }
};

struct TensorRef {
  std::shared_ptr<Storage> storage;
  int64_t offset = 0;  // bytes from the start of the storage
  Shape shape;
  Dtype dtype = Dtype::f32;
  Layout layout = Layout::rows;
  bool wanted = false;  // an output to be made; check() sets its shape and dtype

  explicit operator bool() const { return storage != nullptr || wanted; }
  int64_t count() const { return shape.count(); }
  int64_t bytes() const { return layout == Layout::packed ? packed_bytes(shape, dtype) : count() * size_of(dtype); }
  std::byte* raw() const { return storage->data + offset; }
};

struct ConstTensor : TensorRef {
  template <typename T>
  const T* data() const {
    return reinterpret_cast<const T*>(raw());
  }
};
struct Weight : ConstTensor {};
struct Tensor : TensorRef {
  template <typename T>
  T* data() const {
    return reinterpret_cast<T*>(raw());
  }
};
struct Saved : Tensor {};
struct InOut : Tensor {};

using MaybeTensor = std::optional<ConstTensor>;

}  // namespace mglmm
