#pragma once

#include <cmath>
#include <cstdlib>

#include "core/op/elementwise.h"

// The scalar functions of the elementwise ops, written once for every backend.

#ifdef __CUDACC__
#define DEQ_HOST_DEVICE __host__ __device__
#else
#define DEQ_HOST_DEVICE
#endif

namespace deq {

/// fn(x) for one element; T is float or double.
template <UnaryFn kFn>
struct UnaryFunctor {
  template <class T>
  DEQ_HOST_DEVICE T operator()(T x) const {
    constexpr T kInvSqrt2 = T(0.70710678118654752440);
    constexpr T kInvSqrt2Pi = T(0.39894228040143267794);
    // Written so that nan stays nan: a hidden nan would defeat the finiteness checks.
    if constexpr (kFn == UnaryFn::relu) return x < T(0) ? T(0) : x;
    if constexpr (kFn == UnaryFn::gelu) return T(0.5) * x * (T(1) + std::erf(x * kInvSqrt2));
    if constexpr (kFn == UnaryFn::gelu_derivative) {
      return T(0.5) * (T(1) + std::erf(x * kInvSqrt2)) + x * kInvSqrt2Pi * std::exp(T(-0.5) * x * x);
    }
    if constexpr (kFn == UnaryFn::tanh) return std::tanh(x);
    if constexpr (kFn == UnaryFn::sigmoid) return T(1) / (T(1) + std::exp(-x));
    if constexpr (kFn == UnaryFn::exp) return std::exp(x);
    if constexpr (kFn == UnaryFn::log) return std::log(x);
    if constexpr (kFn == UnaryFn::sqrt) return std::sqrt(x);
    if constexpr (kFn == UnaryFn::reciprocal) return T(1) / x;
    if constexpr (kFn == UnaryFn::abs) return std::abs(x);
    if constexpr (kFn == UnaryFn::sign) return x > T(0) ? T(1) : (x < T(0) ? T(-1) : x);
    if constexpr (kFn == UnaryFn::sin) return std::sin(x);
    if constexpr (kFn == UnaryFn::cos) return std::cos(x);
  }
};

/// fn(a, b) for one pair of elements; T is float or double.
template <BinaryFn kFn>
struct BinaryFunctor {
  template <class T>
  DEQ_HOST_DEVICE T operator()(T a, T b) const {
    if constexpr (kFn == BinaryFn::add) return a + b;
    if constexpr (kFn == BinaryFn::sub) return a - b;
    if constexpr (kFn == BinaryFn::mul) return a * b;
    if constexpr (kFn == BinaryFn::div) return a / b;
    if constexpr (kFn == BinaryFn::relu_grad) return a > T(0) ? b : T(0);
  }
};

/// Calls `use` with the functor of `fn`, so that a loop is instantiated once per function instead of switching per
/// element.
template <class Use>
decltype(auto) with_functor(UnaryFn fn, Use&& use) {
  switch (fn) {
    case UnaryFn::relu: return use(UnaryFunctor<UnaryFn::relu>{});
    case UnaryFn::gelu: return use(UnaryFunctor<UnaryFn::gelu>{});
    case UnaryFn::gelu_derivative: return use(UnaryFunctor<UnaryFn::gelu_derivative>{});
    case UnaryFn::tanh: return use(UnaryFunctor<UnaryFn::tanh>{});
    case UnaryFn::sigmoid: return use(UnaryFunctor<UnaryFn::sigmoid>{});
    case UnaryFn::exp: return use(UnaryFunctor<UnaryFn::exp>{});
    case UnaryFn::log: return use(UnaryFunctor<UnaryFn::log>{});
    case UnaryFn::sqrt: return use(UnaryFunctor<UnaryFn::sqrt>{});
    case UnaryFn::reciprocal: return use(UnaryFunctor<UnaryFn::reciprocal>{});
    case UnaryFn::abs: return use(UnaryFunctor<UnaryFn::abs>{});
    case UnaryFn::sign: return use(UnaryFunctor<UnaryFn::sign>{});
    case UnaryFn::sin: return use(UnaryFunctor<UnaryFn::sin>{});
    case UnaryFn::cos: return use(UnaryFunctor<UnaryFn::cos>{});
  }
  std::abort();
}

/// As above for two operands.
template <class Use>
decltype(auto) with_functor(BinaryFn fn, Use&& use) {
  switch (fn) {
    case BinaryFn::add: return use(BinaryFunctor<BinaryFn::add>{});
    case BinaryFn::sub: return use(BinaryFunctor<BinaryFn::sub>{});
    case BinaryFn::mul: return use(BinaryFunctor<BinaryFn::mul>{});
    case BinaryFn::div: return use(BinaryFunctor<BinaryFn::div>{});
    case BinaryFn::relu_grad: return use(BinaryFunctor<BinaryFn::relu_grad>{});
  }
  std::abort();
}

}  // namespace deq
