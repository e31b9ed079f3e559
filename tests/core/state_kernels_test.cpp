#include "core/cpu/state_kernels.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

// The vector loops of the solvers against plain sums in double, on lengths around their blocks.

namespace deq {
namespace {

constexpr std::int64_t kLengths[] = {0, 1, 15, 16, 255, 256, 257, 1023, 4096, 30720};
constexpr double kFloatSum = 2e-8;  // of |x| |y|: at most a handful of float roundings a product

template <class T>
std::vector<T> drawn(std::int64_t n, unsigned seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<T> normal;
  std::vector<T> out(static_cast<std::size_t>(n));
  for (T& x : out) x = normal(generator);
  return out;
}

std::vector<Bfloat16> rounded(const std::vector<float>& x) {
  std::vector<Bfloat16> out;
  for (const float value : x) out.push_back(round_to_bfloat16(value));
  return out;
}

double wide(Bfloat16 x) { return static_cast<double>(widen(x)); }
double wide(float x) { return static_cast<double>(x); }
double wide(double x) { return x; }

template <class X, class Y>
double plain_dot(const X& x, const Y& y) {
  double sum = 0;
  for (std::size_t i = 0; i < x.size(); ++i) sum += wide(x[i]) * wide(y[i]);
  return sum;
}
template <class X>
double length(const X& x) {
  return std::sqrt(plain_dot(x, x));
}

template <class S, class T>
void check_products(const std::vector<S>& x, std::vector<T> y, double tolerance) {
  const auto n = static_cast<std::int64_t>(x.size());
  CAPTURE(n);
  CHECK(std::abs(dot(x.data(), y.data(), n) - plain_dot(x, y)) <= tolerance * length(x) * length(y));
  std::vector<T> wanted = y;
  for (std::size_t i = 0; i < x.size(); ++i) wanted[i] = static_cast<T>(wide(y[i]) + 0.5 * wide(x[i]));
  const double sum = add_scaled_dot(0.5, x.data(), y.data(), n);
  for (std::size_t i = 0; i < y.size(); ++i) CHECK(y[i] == wanted[i]);
  CHECK(std::abs(sum - plain_dot(x, y)) <= tolerance * length(x) * length(y));
  scale_add(1.0, y.data(), -0.5, x.data(), n);
  scale_add(0.0, wanted.data(), 2.0, x.data(), n);  // must not read what it overwrites
  for (std::size_t i = 0; i < y.size(); ++i) CHECK(wide(wanted[i]) == 2.0 * wide(x[i]));
}

}  // namespace

TEST_CASE("scalar products of solver states agree with sums in double at every length") {
  for (const std::int64_t n : kLengths) {
    const std::vector<float> x = drawn<float>(n, 1), y = drawn<float>(n, 2);
    check_products(x, y, kFloatSum);
    check_products(rounded(x), y, kFloatSum);
    check_products(drawn<double>(n, 3), drawn<double>(n, 4), 1e-14);
    check_products(rounded(x), drawn<double>(n, 4), 1e-14);
  }
}

TEST_CASE("a residual and its norms agree with sums in double at every length") {
  for (const std::int64_t n : kLengths) {
    CAPTURE(n);
    const std::vector<float> f = drawn<float>(n, 1), z = drawn<float>(n, 2);
    std::vector<float> r(f.size());
    const ResidualSums sums = subtract(f.data(), z.data(), r.data(), n);
    for (std::size_t i = 0; i < r.size(); ++i) CHECK(r[i] == f[i] - z[i]);
    CHECK(std::abs(sums.residual - plain_dot(r, r)) <= kFloatSum * plain_dot(r, r));
    CHECK(std::abs(sums.value - plain_dot(f, f)) <= kFloatSum * plain_dot(f, f));
    const ResidualSums unwritten = subtract(f.data(), z.data(), nullptr, n);
    CHECK(unwritten.residual == sums.residual);
    CHECK(unwritten.value == sums.value);
  }
}

TEST_CASE("a step moves the state, whether it is kept whole or rounded") {
  for (const std::int64_t n : kLengths) {
    CAPTURE(n);
    const std::vector<float> p = drawn<float>(n, 1), z = drawn<float>(n, 2);
    std::vector<float> whole = p, moved = z, moved_too = z;
    std::vector<Bfloat16> stored(p.size());
    const double norm2 = scale_and_advance(0.75, whole.data(), moved.data(), n);
    const double rounded_norm2 = scale_round_advance(0.75, p.data(), stored.data(), moved_too.data(), n);
    CHECK(std::abs(norm2 - plain_dot(whole, whole)) <= kFloatSum * norm2);
    CHECK(std::abs(rounded_norm2 - plain_dot(stored, stored)) <= kFloatSum * rounded_norm2);
    for (std::size_t i = 0; i < p.size(); ++i) {
      CHECK(whole[i] == 0.75F * p[i]);
      CHECK(std::abs(moved[i] - (z[i] + whole[i])) <= 1e-6F);
      CHECK(std::abs(moved_too[i] - moved[i]) <= 1e-6F);
      CHECK(std::abs(wide(stored[i]) - wide(whole[i])) <= std::abs(wide(whole[i])) / 256);
    }
  }
}

TEST_CASE("a copy past the caches copies any bytes to any place and no others") {
  std::vector<char> from(300), to(300);
  for (std::size_t i = 0; i < from.size(); ++i) from[i] = static_cast<char>(i + 1);
  for (const std::int64_t bytes : {0, 1, 15, 16, 17, 64, 100, 255}) {
    for (std::int64_t start = 0; start < 17; ++start) {
      std::fill(to.begin(), to.end(), char{0});
      stream_copy(from.data() + 3, to.data() + start, bytes);
      bool is_right = true;
      for (std::int64_t i = 0; i < 300; ++i)
        is_right = is_right && to[i] == (i >= start && i < start + bytes ? from[3 + i - start] : char{0});
      CHECK(is_right);
    }
  }
}

}  // namespace deq
