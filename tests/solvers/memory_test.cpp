#include <doctest/doctest.h>

#include <cmath>

#include "core/error.h"
#include "solvers/symmetric_eigen.h"
#include "tests/solvers/toy_maps.h"

// A history smaller than the number of steps. The map: four directions in which f throws back 5 to 20 times the
// distance to its fixed point, the rest within [-0.5, 0.5], and a tanh on top so that it is not linear. |J| = 20.

namespace deq::test {
namespace {

constexpr int kSize = 30;
constexpr int kBudget = 5;
constexpr double kTolerance = 1e-6;
constexpr int kMostSteps = 100;
const StateSpec kSpec{.batch = 1, .block_elems = {kSize}, .dtype = DType::f64};

struct StiffMap {
  explicit StiffMap(unsigned seed) : a(kSize, kSize), twist(kSize, kSize), fixed_point(kSize) {
    std::mt19937_64 rng(seed);
    std::vector<Vector> basis;
    for (int i = 0; i < kSize; ++i) {
      Vector q = random_vector(kSize, rng);
      for (const Vector& other : basis) {
        const double along = dot(q, other);
        for (int k = 0; k < kSize; ++k) q[k] -= along * other[k];
      }
      const double length = norm(q);
      for (double& value : q) value /= length;
      basis.push_back(q);
      const double eigenvalue = i < 4 ? -5.0 * (i + 1) : -0.5 + i / (kSize - 1.0);
      for (int j = 0; j < kSize; ++j)
        for (int k = 0; k < kSize; ++k) a.at(j, k) += eigenvalue * q[j] * q[k];
    }
    twist = random_matrix(kSize, 1.0, rng);
    fixed_point = random_vector(kSize, rng);
  }
  [[nodiscard]] Vector f(const Vector& z) const {
    Vector offset(z.size());
    for (std::size_t i = 0; i < z.size(); ++i) offset[i] = z[i] - fixed_point[i];
    Vector y = a.times(offset);
    const Vector bent = twist.times(offset);
    for (std::size_t i = 0; i < z.size(); ++i) y[i] += fixed_point[i] + 0.1 * std::tanh(bent[i]);
    return y;
  }
  Matrix a, twist;
  Vector fixed_point;
};

/// Good Broyden in `budget` pairs of which the oldest is overwritten: what a plain circular history does.
double wrap_around_residual(const StiffMap& map, int budget) {
  Vector z(kSize, 0.0);
  const auto residual = [&] {
    Vector r = map.f(z);
    for (int i = 0; i < kSize; ++i) r[i] -= z[i];
    return r;
  };
  std::vector<Vector> u, v;
  Vector r = residual(), s = r;
  double best = norm(r);
  for (int step = 1; step <= kMostSteps; ++step) {
    for (int i = 0; i < kSize; ++i) z[i] += s[i];
    r = residual();
    if (!std::isfinite(norm(r))) return best;
    best = std::min(best, norm(r));
    Vector q = r, vt = s;
    for (std::size_t k = 0; k < u.size(); ++k) {
      const double right = dot(v[k], r), left = dot(u[k], s);
      for (int i = 0; i < kSize; ++i) q[i] += right * u[k][i], vt[i] += left * v[k][i];
    }
    const double denominator = dot(s, s) - dot(s, q);
    Vector pair = q;
    for (double& value : pair) value /= denominator;
    const std::size_t slot = static_cast<std::size_t>((step - 1) % budget);
    if (slot < u.size()) {
      u[slot] = pair, v[slot] = vt;
    } else {
      u.push_back(pair), v.push_back(vt);
    }
    s = r;
    for (std::size_t k = 0; k < u.size(); ++k) {
      const double right = dot(v[k], r);
      for (int i = 0; i < kSize; ++i) s[i] += right * u[k][i];
    }
  }
  return best;
}

SolverOptions limited(int budget, MemoryLimit limit = MemoryLimit::reduce) {
  return {.method = Broyden{.memory = budget, .limit = limit},
          .max_steps = kMostSteps,
          .tolerance = {kTolerance, NormMode::absolute},
          .patience = 0,
          .divergence_factor = 0.0};
}

}  // namespace

TEST_CASE("a budget of 5 pairs converges on a stiff map where overwriting the oldest pair fails") {
  for (unsigned seed = 0; seed < 10; ++seed) {
    CAPTURE(seed);
    const StiffMap stiff(seed);
    CHECK(wrap_around_residual(stiff, kBudget) > 1e-2);
    CHECK(wrap_around_residual(stiff, kMostSteps) < kTolerance);  // it is the budget that fails it
    SampleMap map(kSpec, [&](int, const Vector& z) { return stiff.f(z); });
    BoundLoop solver(kSpec, limited(kBudget));
    const State z(kSpec);
    solver.loop.solve(map, z.view(), solver.report);
    CHECK(solver.report.status[0] == SolveStatus::converged);
    CHECK(solver.report.residual[0] < kTolerance);
    CHECK(distance(z.sample(0), stiff.fixed_point) < 1e-5);
    CHECK(solver.report.restarts == solver.report.steps_run - kBudget);
  }
}

TEST_CASE("a limited history takes the steps of the whole one until it is full") {
  const StiffMap stiff(3);
  SampleMap limited_map(kSpec, [&](int, const Vector& z) { return stiff.f(z); });
  SampleMap whole_map(kSpec, [&](int, const Vector& z) { return stiff.f(z); });
  BoundLoop limited_solver(kSpec, limited(kBudget));
  SolverOptions whole = limited(0);
  whole.method = Broyden{.form = BroydenForm::low_rank};
  BoundLoop whole_solver(kSpec, whole);
  const State z(kSpec), other(kSpec);
  limited_solver.loop.solve(limited_map, z.view(), limited_solver.report);
  whole_solver.loop.solve(whole_map, other.view(), whole_solver.report);
  for (std::size_t call = 0; call < kBudget + 2; ++call)
    CHECK(limited_map.queries[call][0] == whole_map.queries[call][0]);
  CHECK(limited_map.queries[kBudget + 2][0] != whole_map.queries[kBudget + 2][0]);
}

TEST_CASE("the estimate of a limited history is that of the returned iterate, however far back it lies") {
  // From the second call on f is spoiled by a growing amount, so the best iterate is an early one.
  const StiffMap stiff(1);
  for (const int spoiled_from : {4, 7, 12}) {
    const auto spoiled = [&](int calls) {
      return [&stiff, spoiled_from, count = 0, calls](int, const Vector& z) mutable {
        Vector y = stiff.f(z);
        if (++count > std::min(spoiled_from, calls)) y[0] += 1e4 * count;
        return y;
      };
    };
    SolverOptions options = limited(kBudget);
    options.max_steps = 25;
    SampleMap map(kSpec, spoiled(1000));
    BoundLoop solver(kSpec, options);
    const State z(kSpec);
    solver.loop.solve(map, z.view(), solver.report);
    const int best = solver.report.best_step[0];
    CAPTURE(best);
    REQUIRE(best < 15);

    // The same run cut short at that iterate; with more memory than steps nothing is reduced, so the budget stays.
    options.max_steps = std::max(best, kBudget + 1);
    SampleMap short_map(kSpec, spoiled(1000));
    BoundLoop cut_short(kSpec, options);
    const State short_z(kSpec);
    cut_short.loop.solve(short_map, short_z.view(), cut_short.report);
    REQUIRE(cut_short.report.best_step[0] == best);
    CHECK(z.sample(0) == short_z.sample(0));
    const State x = random_state(kSpec, 9), long_out(kSpec), short_out(kSpec);
    solver.loop.estimate().apply_transpose(x.view(), long_out.view());
    cut_short.loop.estimate().apply_transpose(x.view(), short_out.view());
    CHECK(long_out.sample(0) == short_out.sample(0));
  }
}

TEST_CASE("restarting is an option and is counted as well") {
  const StiffMap stiff(2);
  SampleMap map(kSpec, [&](int, const Vector& z) { return stiff.f(z); });
  BoundLoop solver(kSpec, limited(kBudget, MemoryLimit::restart));
  const State z(kSpec);
  solver.loop.solve(map, z.view(), solver.report);
  CHECK(solver.report.restarts >= 1);
  CHECK(solver.report.restarts == solver.report.steps_run / (kBudget + 1));
}

TEST_CASE("the memory of a history depends on its budget, not on the step limit") {
  HostStateOps ops;
  const auto bytes = [&](int max_steps, EstimateUse use) {
    SolverOptions options = limited(kBudget);
    options.max_steps = max_steps;
    const Loop loop(kSpec, ops, options, use);
    return loop.workspace_bytes() + loop.estimate_bytes();
  };
  CHECK(bytes(50, EstimateUse::kept) == bytes(5000, EstimateUse::kept));
  CHECK(bytes(50, EstimateUse::dropped) < bytes(50, EstimateUse::kept));
  CHECK_THROWS_AS(Loop(kSpec, ops, limited(80)), RequestError);
}

TEST_CASE("a negative memory is refused with what to give instead") {
  HostStateOps ops;
  for (const SolverMethod& method :
       {SolverMethod(Broyden{.memory = -3}), SolverMethod(Broyden{.form = BroydenForm::low_rank, .memory = -3}),
        SolverMethod(Broyden{.memory = -3, .limit = MemoryLimit::restart}), SolverMethod(AdjointBroyden{.memory = -3})})
    CHECK_THROWS_WITH_AS(Loop(kSpec, ops, {.method = method}),
                         doctest::Contains("memory is -3 but must not be negative; 0 keeps every update"),
                         RequestError);
  CHECK_THROWS_AS(Loop(kSpec, ops, {.method = Anderson{.memory = -3}}), RequestError);
  CHECK_THROWS_AS(Loop(kSpec, ops, {.method = NewtonKrylov{.inner_steps = -3}}), RequestError);
}

TEST_CASE("more updates than can be kept are refused with what to change") {
  HostStateOps ops;
  constexpr int kTooMany = 2000000000;
  for (const SolverMethod& method :
       {SolverMethod(Broyden{}), SolverMethod(Broyden{.form = BroydenForm::low_rank}),
        SolverMethod(Broyden{.memory = kTooMany}), SolverMethod(AdjointBroyden{.outer_every = 1})})
    CHECK_THROWS_WITH_AS(Loop(kSpec, ops, {.method = method, .max_steps = kTooMany}),
                         doctest::Contains("lower max_steps or set memory"), RequestError);
  CHECK_NOTHROW(Loop(kSpec, ops, {.method = Broyden{.memory = kBudget}, .max_steps = kTooMany}));
  CHECK_NOTHROW(Loop(kSpec, ops, {.method = Broyden{.memory = kTooMany}, .max_steps = kBudget}));
}

TEST_CASE("Jacobi rotations give eigenvalues and eigenvectors of a symmetric matrix") {
  constexpr int kOrder = 7;
  std::mt19937_64 rng(4);
  const Matrix root = random_matrix(kOrder, 2.0, rng);
  Matrix a(kOrder, kOrder);
  for (int i = 0; i < kOrder; ++i)
    for (int j = 0; j < kOrder; ++j) a.at(i, j) = root.at(i, j) + root.at(j, i);
  Vector diagonal = a.data, vectors(kOrder * kOrder);
  symmetric_eigen(kOrder, diagonal, vectors);
  for (int j = 0; j < kOrder; ++j) {
    Vector x(kOrder);
    for (int i = 0; i < kOrder; ++i) x[i] = vectors[i * kOrder + j];
    Vector scaled = x;
    for (double& value : scaled) value *= diagonal[j * kOrder + j];
    CHECK(norm(x) == doctest::Approx(1.0));
    CHECK(distance(a.times(x), scaled) < 1e-13);
  }
}

}  // namespace deq::test
