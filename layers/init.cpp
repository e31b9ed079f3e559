#include "layers/init.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <span>

#include "core/error.h"

namespace deq::init {
namespace {

/// SplitMix64 (Steele, Lea, Flood, OOPSLA 2014): one well-mixed word per counter value.
std::uint64_t mix(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15ULL;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

/// In (0, 1): the top 53 bits, moved by half a step so that the logarithm below is finite.
double unit(std::uint64_t word) { return (static_cast<double>(word >> 11) + 0.5) * 0x1.0p-53; }

/// Box-Muller: two elements from two words.
void fill_normal(std::span<float> elements, std::uint64_t key, double deviation) {
  for (std::size_t i = 0; i < elements.size(); i += 2) {
    const double radius = deviation * std::sqrt(-2.0 * std::log(unit(mix(key + i))));
    const double angle = 2.0 * std::numbers::pi * unit(mix(key + i + 1));
    elements[i] = static_cast<float>(radius * std::cos(angle));
    if (i + 1 < elements.size()) elements[i + 1] = static_cast<float>(radius * std::sin(angle));
  }
}

}  // namespace

Initializer fan_in(std::int64_t inputs) {
  check(inputs >= 1, "initializer", "fan-in is ", inputs, ", expected at least 1");
  return uniform(1.0 / std::sqrt(static_cast<double>(inputs)));
}

std::uint64_t hash_of(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325ULL;
  for (const char letter : text) hash = (hash ^ static_cast<unsigned char>(letter)) * 0x100000001b3ULL;
  return hash;
}

Tensor draw(const Initializer& initializer, Shape shape, std::uint64_t seed, std::string_view name) {
  Tensor out(DType::f32, shape);
  const std::span<float> elements = out.data<float>();
  const std::uint64_t key = mix(hash_of(name) ^ mix(seed));
  switch (initializer.kind) {
    case Kind::constant: std::fill(elements.begin(), elements.end(), static_cast<float>(initializer.value)); break;
    case Kind::uniform:
      for (std::size_t i = 0; i < elements.size(); ++i)
        elements[i] = static_cast<float>(initializer.value * (2.0 * unit(mix(key + i)) - 1.0));
      break;
    case Kind::normal: fill_normal(elements, key, initializer.value); break;
  }
  return out;
}

}  // namespace deq::init
