#pragma once

#include <cstdint>

namespace deq {

enum class UnaryFn : std::uint8_t {
  relu,
  gelu,
  gelu_derivative,
  tanh,
  sigmoid,
  exp,
  log,
  sqrt,
  reciprocal,
  abs,
  sign,
  sin,
  cos,
};
/// y = fn(x). gelu is the exact (erf) form; relu'(0) = 0; log, sqrt, reciprocal follow IEEE; angles are in radians.
struct Unary {
  UnaryFn fn = UnaryFn::relu;
  bool operator==(const Unary&) const = default;
};
/// relu_grad(x, g) = x > 0 ? g : 0.
enum class BinaryFn : std::uint8_t { add, sub, mul, div, relu_grad };
/// y = fn(a, b) with NumPy broadcasting (right-aligned, extents equal or 1).
struct Binary {
  BinaryFn fn = BinaryFn::add;
  bool operator==(const Binary&) const = default;
};
/// y = scale * x + offset.
struct Affine {
  double scale = 1;
  double offset = 0;
  bool operator==(const Affine&) const = default;
};
/// The same bytes in fresh memory.
struct Copy {
  bool operator==(const Copy&) const = default;
};

}  // namespace deq
