#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>
#include <vector>

#include "core/shape.h"

namespace deq {

/// Dense host memory with a type: parameters, batches, results. Copies share the bytes; `clone` does not.
/// Memory is 64-byte aligned and starts zeroed.
class Tensor {
 public:
  Tensor() = default;
  explicit Tensor(TensorType type);
  Tensor(DType dtype, Shape shape) : Tensor(TensorType{dtype, shape}) {}

  /// A tensor holding a copy of `values`; the number of values must match the shape.
  template <class T>
  static Tensor of(Shape shape, std::span<const T> values) {
    Tensor out(DTypeOf<T>::value, shape);
    check(static_cast<std::int64_t>(values.size()) == shape.elements(), "tensor", values.size(), " values for shape ",
          shape);
    std::copy(values.begin(), values.end(), out.data<T>().begin());
    return out;
  }
  template <class T>
  static Tensor of(Shape shape, const std::vector<T>& values) {
    return of(shape, std::span<const T>(values));
  }
  template <class T>
  static Tensor scalar(T value) {
    return of(Shape{}, std::span<const T>(&value, 1));
  }

  [[nodiscard]] const TensorType& type() const { return type_; }
  [[nodiscard]] const Shape& shape() const { return type_.shape; }
  [[nodiscard]] DType dtype() const { return type_.dtype; }
  [[nodiscard]] std::size_t bytes() const { return type_.bytes(); }
  [[nodiscard]] bool is_empty() const { return storage_ == nullptr; }

  [[nodiscard]] std::byte* raw() { return storage_.get(); }
  [[nodiscard]] const std::byte* raw() const { return storage_.get(); }

  /// Elements as T. Errors: T is not the tensor's dtype.
  template <class T>
  [[nodiscard]] std::span<T> data() {
    check_dtype(DTypeOf<T>::value);
    return {reinterpret_cast<T*>(storage_.get()), static_cast<std::size_t>(type_.shape.elements())};
  }
  template <class T>
  [[nodiscard]] std::span<const T> data() const {
    check_dtype(DTypeOf<T>::value);
    return {reinterpret_cast<const T*>(storage_.get()), static_cast<std::size_t>(type_.shape.elements())};
  }

  [[nodiscard]] Tensor clone() const;

  /// Says that the elements changed: programs whose parameter this object is see it at their next run. Program and
  /// ParameterStore::set do so themselves; who writes into `data` of a parameter does it too.
  void touch() { ++version_; }
  /// How often. Of this object: a copy, which shares the bytes, counts on its own.
  [[nodiscard]] std::uint64_t version() const { return version_; }

 private:
  void check_dtype(DType wanted) const;

  TensorType type_{DType::f32, Shape{0}};
  std::shared_ptr<std::byte[]> storage_;
  std::uint64_t version_ = 0;
};

/// Releases memory the way its owner says: `free` for the host's own, another function for a device's.
struct FreeDeleter {
  void (*release)(void*) = &std::free;
  void operator()(std::byte* memory) const { release(memory); }
};
/// Zeroed memory aligned to 64 bytes, released on destruction.
using AlignedBytes = std::unique_ptr<std::byte[], FreeDeleter>;
AlignedBytes allocate_aligned(std::size_t bytes);

}  // namespace deq
