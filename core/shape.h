#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <ostream>
#include <span>

#include "core/dtype.h"
#include "core/error.h"

namespace deq {

/// Extents of a dense, row-major array; rank 0 (a scalar) to kMaxRank. Extents are >= 0, and their product is small
/// enough for the bytes of any type to be counted. Images are NHWC: [batch, height, width, channels].
/// Errors: a larger rank, a negative extent, too many elements; an axis outside [-rank, rank).
class Shape {
 public:
  static constexpr int kMaxRank = 6;

  Shape() = default;
  Shape(std::initializer_list<std::int64_t> extents) : Shape(std::span(extents.begin(), extents.size())) {}
  explicit Shape(std::span<const std::int64_t> extents) : rank_(static_cast<int>(extents.size())) {
    check(extents.size() <= kMaxRank, "shape", "rank ", extents.size(), " exceeds the limit of ", kMaxRank);
    for (int i = 0; i < rank_; ++i) {
      check(extents[static_cast<std::size_t>(i)] >= 0, "shape", "negative extent at axis ", i);
      extents_[static_cast<std::size_t>(i)] = extents[static_cast<std::size_t>(i)];
    }
    check_size();
  }

  [[nodiscard]] int rank() const { return rank_; }
  /// Extent of `axis`; negative axes count from the end.
  [[nodiscard]] std::int64_t operator[](int axis) const { return extents_[place_of(axis)]; }
  [[nodiscard]] std::int64_t elements() const {
    std::int64_t n = 1;
    for (int i = 0; i < rank_; ++i) n *= extents_[static_cast<std::size_t>(i)];
    return n;
  }
  [[nodiscard]] std::span<const std::int64_t> extents() const {
    return {extents_.data(), static_cast<std::size_t>(rank_)};
  }
  /// The same shape with `axis` set to `extent`.
  [[nodiscard]] Shape with(int axis, std::int64_t extent) const {
    Shape out = *this;
    out.extents_[place_of(axis)] = extent;
    out.check_size();
    return out;
  }
  bool operator==(const Shape&) const = default;

 private:
  [[nodiscard]] std::size_t place_of(int axis) const {
    const int place = axis < 0 ? axis + rank_ : axis;
    if (place < 0 || place >= rank_) [[unlikely]]
      refuse_axis(axis);
    return static_cast<std::size_t>(place);
  }
  [[noreturn]] void refuse_axis(int axis) const;
  void check_size() const;

  std::array<std::int64_t, kMaxRank> extents_{};
  int rank_ = 0;
};

inline std::ostream& operator<<(std::ostream& out, const Shape& shape) {
  out << '[';
  for (int i = 0; i < shape.rank(); ++i) out << (i ? "," : "") << shape[i];
  return out << ']';
}

/// What a graph value is: element type and shape. Prints as `f32[8,32,32,3]`.
struct TensorType {
  DType dtype = DType::f32;
  Shape shape;

  [[nodiscard]] std::size_t bytes() const { return static_cast<std::size_t>(shape.elements()) * size_of(dtype); }
  bool operator==(const TensorType&) const = default;
};

inline std::ostream& operator<<(std::ostream& out, const TensorType& type) {
  return out << name_of(type.dtype) << type.shape;
}

}  // namespace deq
