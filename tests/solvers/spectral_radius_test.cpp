#include "solvers/spectral_radius.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "solvers/eigenvalues.h"
#include "tests/solvers/golden.h"
#include "tests/solvers/toy_maps.h"

namespace deq::test {
namespace {

// The promise of the monitor.
constexpr double kPromised = 0.02;

Matrix product(const Matrix& a, const Matrix& b) {
  Matrix out(a.rows, b.cols);
  for (int i = 0; i < a.rows; ++i)
    for (int k = 0; k < a.cols; ++k)
      for (int j = 0; j < b.cols; ++j) out.at(i, j) += a.at(i, k) * b.at(k, j);
  return out;
}

/// lim |A^p|^(1/p) with p = 2^14 by repeated squaring: knows nothing of eigenvectors, so a judge for Arnoldi.
/// Off by about (log condition) / p, far below 1 %.
double dense_radius(Matrix a) {
  double log_radius = 0.0;
  double power = 1.0;
  for (int squaring = 0; squaring < 14; ++squaring) {
    const double length = norm(a.data);
    if (length == 0.0) return 0.0;
    log_radius += std::log(length) / power;
    for (double& value : a.data) value /= length;
    a = product(a, a);
    power *= 2.0;
  }
  return std::exp(log_radius + std::log(std::max(norm(a.data), 1e-300)) / power);
}

/// Arnoldi on v -> A_b^T v of each sample.
Vector measured(const std::vector<Matrix>& matrices, int steps, const StateSpec& spec, const State& start) {
  HostStateOps ops;
  SpectralRadius spectral(spec, ops, steps);
  const AlignedBytes workspace = allocate_aligned(spectral.workspace_bytes());
  spectral.bind(workspace.get());
  SampleMap map(
      spec, [&](int sample, const Vector& v) { return matrices[sample].transposed_times(v); }, false);
  spectral.run(map, start.view());
  CHECK(spectral.map_calls() <= steps);
  return {spectral.radius().begin(), spectral.radius().end()};
}

Vector measured(const std::vector<Matrix>& matrices, int steps, DType dtype = DType::f64) {
  const StateSpec spec{.batch = static_cast<int>(matrices.size()), .block_elems = {matrices[0].rows}, .dtype = dtype};
  return measured(matrices, steps, spec, random_state(spec, 7));
}

/// A 2x2 block of modulus `radius` that turns by `angle` a step, in a random orthonormal frame with a real spectrum
/// below it: plain power iteration never settles on it.
Matrix rotating(int n, double radius, double angle, unsigned seed) {
  std::mt19937_64 rng(seed);
  Matrix d(n, n);
  d.at(0, 0) = d.at(1, 1) = radius * std::cos(angle);
  d.at(0, 1) = -radius * std::sin(angle);
  d.at(1, 0) = radius * std::sin(angle);
  for (int i = 2; i < n; ++i) d.at(i, i) = 0.8 * radius * (2.0 * i / n - 1.0);
  // D T with T = P D P^-1; P well conditioned but not orthogonal, so the map is not normal.
  Matrix p = random_matrix(n, 0.3, rng);
  for (int i = 0; i < n; ++i) p.at(i, i) += 1.0;
  Matrix out(n, n);
  const Matrix pd = product(p, d);
  for (int i = 0; i < n; ++i) {  // rows of P D P^-1 solve P^T x = row
    Matrix transposed(n, n);
    for (int r = 0; r < n; ++r)
      for (int c = 0; c < n; ++c) transposed.at(r, c) = p.at(c, r);
    const Vector row(pd.data.begin() + i * n, pd.data.begin() + (i + 1) * n);
    const Vector solved = solve_dense(transposed, row);
    std::copy(solved.begin(), solved.end(), out.data.begin() + i * n);
  }
  return out;
}

}  // namespace

TEST_CASE("eigenvalues of a companion matrix are the roots of its polynomial") {
  // (x - 3)(x^2 + 4) = x^3 - 3 x^2 + 4 x - 12: a real root and an imaginary pair.
  const Vector companion{3, -4, 12, 1, 0, 0, 0, 1, 0};
  auto found = hessenberg_eigenvalues(companion, 3);
  REQUIRE(found.size() == 3);
  std::sort(found.begin(), found.end(), [](auto a, auto b) { return a.imag() < b.imag(); });
  const std::vector<std::complex<double>> roots{{0, -2}, {3, 0}, {0, 2}};
  for (std::size_t i = 0; i < 3; ++i) CHECK(std::abs(found[i] - roots[i]) < 1e-12);
}

TEST_CASE("eigenvalues of a large Hessenberg matrix have its trace and the trace of its square") {
  const int n = 60;
  std::mt19937_64 rng(3);
  Matrix h = random_matrix(n, 1.0, rng);
  for (int i = 0; i < n; ++i)
    for (int j = 0; j + 1 < i; ++j) h.at(i, j) = 0.0;
  const auto found = hessenberg_eigenvalues(h.data, n);
  REQUIRE(found.size() == static_cast<std::size_t>(n));
  const Matrix squared = product(h, h);
  std::complex<double> first = 0.0, second = 0.0;
  for (int i = 0; i < n; ++i) {
    first += found[i] - h.at(i, i);
    second += found[i] * found[i] - squared.at(i, i);
  }
  CHECK(std::abs(first) < 1e-10);
  CHECK(std::abs(second) < 1e-10);
}

TEST_CASE("eigenvalues of a matrix with equal ones, a cyclic one and a zero one are found") {
  CHECK(hessenberg_eigenvalues(Vector{}, 0).empty());
  CHECK(hessenberg_eigenvalues(Vector(16, 0.0), 4) == std::vector<std::complex<double>>(4, 0.0));
  Vector cyclic(25, 0.0);  // e_i -> e_{i+1}: the fifth roots of one, on which unshifted QR stands still
  for (int i = 0; i < 4; ++i) cyclic[(i + 1) * 5 + i] = 1.0;
  cyclic[4] = 1.0;
  for (const std::complex<double>& value : hessenberg_eigenvalues(cyclic, 5))
    CHECK(std::abs(std::pow(value, 5) - 1.0) < 1e-10);
  Vector broken(4, 1.0);
  broken[1] = std::numeric_limits<double>::quiet_NaN();
  CHECK(hessenberg_eigenvalues(broken, 2).empty());
}

TEST_CASE("the spectral radius of random matrices is the one of repeated squaring") {
  std::mt19937_64 rng(1);
  std::vector<Matrix> matrices;
  for (const double scale : {0.3, 0.9, 2.0}) matrices.push_back(random_matrix(48, scale, rng));
  const Vector found = measured(matrices, 48);
  for (std::size_t b = 0; b < matrices.size(); ++b)
    CHECK(found[b] == doctest::Approx(dense_radius(matrices[b])).epsilon(kPromised));
}

TEST_CASE("a rotating dominant pair is measured within two per cent in fewer steps than dimensions") {
  for (const double angle : {0.4, 1.5707963, 2.6}) {
    CAPTURE(angle);
    const std::vector<Matrix> matrices{rotating(120, 0.9, angle, 2), rotating(120, 0.5, angle, 3)};
    for (const DType dtype : {DType::f64, DType::f32}) {
      const Vector found = measured(matrices, 30, dtype);
      CHECK(found[0] == doctest::Approx(0.9).epsilon(kPromised));
      CHECK(found[1] == doctest::Approx(0.5).epsilon(kPromised));
    }
  }
}

TEST_CASE("samples stop alone: a nilpotent, a zero and a small invariant map beside a full one") {
  std::mt19937_64 rng(5);
  const int n = 12;
  Matrix zero(n, n), shift(n, n), projector(n, n);
  for (int i = 0; i + 1 < n; ++i) shift.at(i, i + 1) = 1.0;
  projector.at(0, 0) = -0.7;  // one product spans its range
  const Matrix full = random_matrix(n, 1.0, rng);
  const Vector found = measured({zero, shift, projector, full}, 40);
  CHECK(found[0] == 0.0);
  // A defective eigenvalue moves by the n-th root of rounding: (1e-16)^(1/12) = 0.05.
  CHECK(found[1] < 0.1);
  CHECK(found[2] == doctest::Approx(0.7).epsilon(1e-9));
  CHECK(found[3] == doctest::Approx(dense_radius(full)).epsilon(1e-3));
}

TEST_CASE("the spectral radius of a sample does not depend on its batch mates, bit for bit") {
  const Matrix a = rotating(40, 0.8, 1.0, 4), b = rotating(40, 0.3, 2.0, 5);
  const StateSpec two{.batch = 2, .block_elems = {40}, .dtype = DType::f32}, one{.batch = 1, .block_elems = {40}};
  const State start = random_state(two, 9);
  State alone(one);
  alone.set(0, start.sample(0));
  CHECK(measured({a, b}, 20, two, start)[0] == measured({a}, 20, one, alone)[0]);
}

TEST_CASE("a zero start and a product that is not finite give no number") {
  const StateSpec spec{.batch = 3, .block_elems = {4}, .dtype = DType::f64};
  Matrix identity(4, 4), broken(4, 4);
  for (int i = 0; i < 4; ++i) identity.at(i, i) = 1.0;
  broken.at(1, 1) = std::numeric_limits<double>::infinity();
  State start = random_state(spec, 3);
  start.set(0, Vector(4, 0.0));
  const Vector found = measured({identity, broken, identity}, 4, spec, start);
  CHECK(std::isnan(found[0]));
  CHECK(std::isnan(found[1]));
  CHECK(found[2] == doctest::Approx(1.0).epsilon(1e-12));
}

TEST_CASE("the reference map has the spectral radii of its dense Jacobian") {
  const auto golden = fixed_point_golden();
  if (!golden) return;
  const int n = 32;
  const Vector &w = golden->arrays.at("W"), &z = golden->arrays.at("exact_z");
  std::vector<Matrix> jacobians;
  for (int b = 0; b < 4; ++b) {
    Matrix jacobian(n, n);  // tanh' = 1 - z^2 at the solution
    for (int i = 0; i < n; ++i)
      for (int j = 0; j < n; ++j) jacobian.at(i, j) = (1.0 - z[b * n + i] * z[b * n + i]) * w[i * n + j];
    jacobians.push_back(jacobian);
  }
  // Measured with a dense eigensolver on the same map; two decimals are given.
  const Vector known{0.72, 0.54, 0.54, 0.69};
  const Vector found = measured(jacobians, 30, DType::f32);
  for (std::size_t b = 0; b < 4; ++b) {
    CHECK(std::abs(found[b] - known[b]) < 0.006);
    CHECK(found[b] == doctest::Approx(dense_radius(jacobians[b])).epsilon(kPromised));
  }
}

}  // namespace deq::test
