#pragma once

#include <cstdint>
#include <string_view>

#include "core/tensor.h"

// How parameters start. A start depends on the seed and the parameter's name alone, so models may be built in any order
// and a layer keeps its start when another one is added.

namespace deq::init {

enum class Kind : std::uint8_t { constant, uniform, normal };

/// constant: every element is `value`. uniform: U(-value, value). normal: N(0, value^2).
struct Initializer {
  Kind kind = Kind::constant;
  double value = 0;
  bool operator==(const Initializer&) const = default;
};

constexpr Initializer zeros() { return {Kind::constant, 0.0}; }
constexpr Initializer ones() { return {Kind::constant, 1.0}; }
constexpr Initializer constant(double value) { return {Kind::constant, value}; }
constexpr Initializer uniform(double bound) { return {Kind::uniform, bound}; }
constexpr Initializer normal(double deviation) { return {Kind::normal, deviation}; }
/// U(+-1/sqrt(inputs)), the default of most frameworks for linear maps; `inputs` feed each output, >= 1.
Initializer fan_in(std::int64_t inputs);

/// 64-bit FNV-1a of `text`.
std::uint64_t hash_of(std::string_view text);

/// An f32 tensor drawn from (seed, name, element index).
Tensor draw(const Initializer& initializer, Shape shape, std::uint64_t seed, std::string_view name);

}  // namespace deq::init
