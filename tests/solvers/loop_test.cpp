#include <doctest/doctest.h>
#include <omp.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/error.h"
#include "tests/solvers/toy_maps.h"

namespace deq::test {
namespace {

const std::vector<SolverMethod> kMethods{
    Picard{},
    Picard{.damping = 0.7},
    Anderson{},
    Anderson{.memory = 3, .mixing = 0.5},
    Broyden{},
    Broyden{.memory = 4},
    Broyden{.memory = 4, .limit = MemoryLimit::restart},
    Broyden{.form = BroydenForm::low_rank},
    Broyden{.form = BroydenForm::low_rank, .memory = 4, .limit = MemoryLimit::restart}};

StateSpec spec_of(int batch, int n, DType dtype = DType::f64) {
  return {.batch = batch, .block_elems = {n - n / 3, n / 3}, .dtype = dtype};
}

/// Q diag(eigenvalues) Q^T z + b with the spectrum spread over [low, high]; fixed point known.
struct Spectrum {
  Spectrum(int n, double low, double high, unsigned seed) : a(n, n), fixed_point(n) {
    std::mt19937_64 rng(seed);
    Vector direction = random_vector(n, rng);
    const double length = norm(direction);
    for (double& value : direction) value /= length;
    Vector eigenvalue(n);
    for (int i = 0; i < n; ++i) eigenvalue[i] = low + (high - low) * i / (n - 1);
    // Q = I - 2 d d^T is symmetric and orthogonal.
    const auto q = [&](int i, int j) { return (i == j ? 1.0 : 0.0) - 2.0 * direction[i] * direction[j]; };
    for (int i = 0; i < n; ++i)
      for (int j = 0; j < n; ++j)
        for (int k = 0; k < n; ++k) a.at(i, j) += q(i, k) * eigenvalue[k] * q(j, k);
    fixed_point = random_vector(n, rng);
  }
  [[nodiscard]] Vector f(const Vector& z) const {
    Vector offset(z.size());
    for (std::size_t i = 0; i < z.size(); ++i) offset[i] = z[i] - fixed_point[i];
    Vector y = a.times(offset);
    for (std::size_t i = 0; i < z.size(); ++i) y[i] += fixed_point[i];
    return y;
  }
  Matrix a;
  Vector fixed_point;
};

/// Samples of very different difficulty.
Vector uneven(const TanhModel& model, int kind, const Vector& z) {
  Vector y = model.f(z);
  const double scale = kind % 3 == 0 ? 0.2 : kind % 3 == 1 ? 1.0 : 1.6;
  for (std::size_t i = 0; i < y.size(); ++i) y[i] = scale * y[i] + 0.3 * kind;
  return y;
}

}  // namespace

TEST_CASE("every solver reaches the fixed point of a linear map with known spectrum") {
  const Spectrum linear(24, -0.6, 0.9, 1);
  for (const SolverMethod& method : kMethods) {
    CAPTURE(name_of(method));
    const StateSpec spec = spec_of(2, 24);
    SampleMap map(spec, [&](int, const Vector& z) { return linear.f(z); });
    BoundLoop solver(spec, {.method = method, .max_steps = 500, .tolerance = {1e-10, NormMode::absolute}});
    const State z = random_state(spec, 2);
    solver.loop.solve(map, z.view(), solver.report);
    for (int b = 0; b < 2; ++b) {
      CHECK(solver.report.status[b] == SolveStatus::converged);
      CHECK(solver.report.residual[b] < 1e-10);
      CHECK(distance(z.sample(b), linear.fixed_point) < 1e-9);  // residual / (1 - 0.9)
    }
    CHECK(solver.report.map_calls == solver.report.steps_run + 1);
  }
}

TEST_CASE("Broyden solves an affine system of size n within 2n steps") {
  const int n = 30;
  std::mt19937_64 rng(7);
  const Matrix a = random_matrix(n, 0.9, rng);
  const Vector b = random_vector(n, rng);
  for (const BroydenForm form : {BroydenForm::product, BroydenForm::low_rank}) {
    const StateSpec spec = spec_of(1, n);
    SampleMap map(spec, [&](int, const Vector& z) {
      Vector y = a.times(z);
      for (int i = 0; i < n; ++i) y[i] += b[i];
      return y;
    });
    BoundLoop solver(spec,
                     {.method = Broyden{.form = form}, .max_steps = 2 * n, .tolerance = {1e-9, NormMode::absolute}});
    const State z(spec);
    solver.loop.solve(map, z.view(), solver.report);
    CHECK(solver.report.status[0] == SolveStatus::converged);
  }
}

TEST_CASE("a sample's result is the same bits whatever its batch mates") {
  const TanhModel model(21, 0.9, 5);
  for (const DType dtype : {DType::f64, DType::f32})
    for (const SolverMethod& method : kMethods) {
      CAPTURE(name_of(method));
      const SolverOptions options{.method = method, .max_steps = 40, .tolerance = {.value = 1e-4}};
      const StateSpec together = spec_of(6, 21, dtype);
      SampleMap map(together, [&](int b, const Vector& z) { return uneven(model, b, z); });
      BoundLoop solver(together, options);
      const State z(together);
      solver.loop.solve(map, z.view(), solver.report);
      const State x = random_state(together, 3);
      const State m_x(together);
      const State mt_x(together);
      solver.loop.estimate().apply(x.view(), m_x.view());
      solver.loop.estimate().apply_transpose(x.view(), mt_x.view());
      for (int b = 0; b < 6; ++b) {
        const StateSpec alone = spec_of(1, 21, dtype);
        SampleMap own_map(alone, [&](int, const Vector& at) { return uneven(model, b, at); });
        BoundLoop own(alone, options);
        const State own_z(alone);
        own.loop.solve(own_map, own_z.view(), own.report);
        CHECK(own_z.sample(0) == z.sample(b));
        CHECK(own.report.status[0] == solver.report.status[b]);
        CHECK(own.report.residual[0] == solver.report.residual[b]);
        CHECK(own.report.steps[0] == solver.report.steps[b]);
        CHECK(own.loop.estimate().rank()[0] == solver.loop.estimate().rank()[b]);
        State own_x(alone);
        own_x.set(0, x.sample(b));
        const State own_out(alone);
        own.loop.estimate().apply(own_x.view(), own_out.view());
        CHECK(own_out.sample(0) == m_x.sample(b));
        own.loop.estimate().apply_transpose(own_x.view(), own_out.view());
        CHECK(own_out.sample(0) == mt_x.sample(b));
      }
    }
}

TEST_CASE("the number of threads changes no bit") {
  const TanhModel model(60, 0.9, 6);
  const StateSpec spec = spec_of(300, 60, DType::f32);  // so many that threads share every operation
  const int threads = omp_get_max_threads();
  std::vector<Vector> results[2];
  for (const int run : {0, 1}) {
    omp_set_num_threads(run == 0 ? 1 : 4);
    SampleMap map(spec, [&](int b, const Vector& z) { return uneven(model, b, z); });
    BoundLoop solver(spec, {.max_steps = 10});
    const State z(spec);
    solver.loop.solve(map, z.view(), solver.report);
    for (int b = 0; b < spec.batch; ++b) results[run].push_back(z.sample(b));
  }
  omp_set_num_threads(threads);
  CHECK(results[0] == results[1]);
}

TEST_CASE("a converged sample is frozen while the others go on") {
  const TanhModel model(12, 0.9, 5);
  const StateSpec spec = spec_of(2, 12);
  SampleMap map(spec, [&](int b, const Vector& z) { return b == 0 ? Vector(12, 0.5) : model.f(z); });
  BoundLoop solver(spec, {.tolerance = {1e-8, NormMode::relative}});
  const State z(spec);
  solver.loop.solve(map, z.view(), solver.report);
  CHECK(solver.report.steps[0] == 1);
  CHECK(solver.report.steps[1] > 3);
  for (std::size_t call = 2; call < map.queries.size(); ++call) CHECK(map.queries[call][0] == map.queries[1][0]);
}

TEST_CASE("tolerance 0 runs a fixed number of steps and returns the best iterate") {
  for (const SolverMethod& method : kMethods) {
    CAPTURE(name_of(method));
    const StateSpec spec = spec_of(1, 9);
    const TanhModel model(9, 0.8, 4);
    int calls = 0;
    SampleMap map(spec, [&](int, const Vector& z) {
      Vector y = model.f(z);
      if (++calls == 12) y[0] += 100.0;
      return y;
    });
    BoundLoop solver(spec, {.method = method, .max_steps = 11, .tolerance = {.value = 0.0}});
    const State z(spec);
    solver.loop.solve(map, z.view(), solver.report);
    CHECK(solver.report.map_calls == 12);
    CHECK(solver.report.status[0] == SolveStatus::max_steps);
    const int best = solver.report.best_step[0];
    CHECK(best < 11);
    CHECK(z.sample(0) == map.queries[best][0]);
  }
}

TEST_CASE("the relative residual is |f - z| / (|f| + 1e-9)") {
  const StateSpec spec = spec_of(1, 9);
  const TanhModel model(9, 0.8, 4);
  SampleMap map(spec, [&](int, const Vector& z) { return model.f(z); });
  BoundLoop solver(spec, {.max_steps = 3, .tolerance = {.value = 0.0}});
  const State z(spec);
  solver.loop.solve(map, z.view(), solver.report);
  const Vector f = model.f(z.sample(0));
  CHECK(solver.report.residual[0] == doctest::Approx(distance(f, z.sample(0)) / (norm(f) + 1e-9)).epsilon(1e-12));
}

TEST_CASE("inf and nan end a sample as nonfinite with its last finite best") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double inf = std::numeric_limits<double>::infinity();
  for (const SolverMethod& method : kMethods)
    for (const double poison : {nan, inf}) {
      const StateSpec spec = spec_of(3, 9);
      const TanhModel model(9, 0.8, 4);
      int calls = 0;
      SampleMap map(spec, [&](int b, const Vector& z) {
        calls += b == 0 ? 1 : 0;
        Vector y = model.f(z);
        if (b == 2 || (b == 1 && calls == 4)) y[5] = poison;
        return y;
      });
      BoundLoop solver(spec, {.method = method, .max_steps = 100});
      const State z = random_state(spec, 3);
      const Vector start = z.sample(2);
      solver.loop.solve(map, z.view(), solver.report);
      CHECK(solver.report.status[0] == SolveStatus::converged);
      CHECK(solver.report.status[1] == SolveStatus::nonfinite);
      CHECK(solver.report.steps[1] == 3);
      CHECK(z.sample(1) == map.queries[solver.report.best_step[1]][1]);
      CHECK(solver.report.status[2] == SolveStatus::nonfinite);
      CHECK(z.sample(2) == start);
      CHECK(solver.loop.estimate().rank()[2] == 0);
    }
}

TEST_CASE("a growing residual ends a sample as diverged") {
  const StateSpec spec = spec_of(2, 9);
  const TanhModel model(9, 0.5, 4);
  SampleMap map(spec, [&](int b, const Vector& z) {
    if (b == 1) return model.f(z);
    Vector y = z;
    for (double& value : y) value = 3.0 * value + 1.0;
    return y;
  });
  BoundLoop solver(spec, {.method = Picard{}, .max_steps = 100});
  const State z(spec);
  solver.loop.solve(map, z.view(), solver.report);
  CHECK(solver.report.status[0] == SolveStatus::diverged);
  CHECK(solver.report.status[1] == SolveStatus::converged);
  CHECK(solver.report.steps[0] < 10);  // 3^7 > 1e3
}

TEST_CASE("a sample without progress ends as stalled after `patience` steps") {
  const StateSpec spec = spec_of(1, 9);
  SampleMap map(spec, [](int, const Vector& z) {  // swaps between two points for ever
    Vector y = z;
    for (double& value : y) value = 1.0 - value;
    return y;
  });
  BoundLoop solver(spec,
                   {.method = Picard{}, .max_steps = 100, .tolerance = {1e-3, NormMode::absolute}, .patience = 6});
  const State z(spec);
  solver.loop.solve(map, z.view(), solver.report);
  CHECK(solver.report.status[0] == SolveStatus::stalled);
  CHECK(solver.report.steps[0] == 6);
}

TEST_CASE("Anderson survives a singular history") {
  // A constant map makes residuals vanish after one step; a rank-1 map makes them parallel.
  const StateSpec spec = spec_of(1, 9);
  for (const double ridge : {0.0, 1e-10})
    for (const double slope : {0.0, 0.5}) {
      SampleMap map(spec, [&](int, const Vector& z) {
        Vector y(z.size(), 1.0 + slope * z[0]);
        return y;
      });
      BoundLoop solver(spec,
                       {.method = Anderson{.ridge = {.value = ridge}}, .max_steps = 12, .tolerance = {.value = 0.0}});
      const State z(spec);
      solver.loop.solve(map, z.view(), solver.report);
      CHECK(solver.report.status[0] == SolveStatus::max_steps);
      CHECK(solver.report.residual[0] < 1e-12);
      const State x = random_state(spec, 1);
      const State out(spec);
      solver.loop.estimate().apply_transpose(x.view(), out.view());
      for (const double value : out.sample(0)) CHECK(std::isfinite(value));
    }
}

TEST_CASE("an update with a vanishing denominator is skipped and counted") {
  // f(z) = 2 z + 1 in one dimension from 0: s_0 = 1, r_1 = 2, so s.q = 2 |s|^2 is fine; f(z) = z + 1 has s.q = |s|^2.
  for (const BroydenForm form : {BroydenForm::product, BroydenForm::low_rank}) {
    const StateSpec spec{.batch = 1, .block_elems = {1}, .dtype = DType::f64};
    SampleMap map(spec, [](int, const Vector& z) { return Vector{z[0] + 1.0}; });
    BoundLoop solver(spec, {.method = Broyden{.form = form}, .max_steps = 4, .tolerance = {.value = 0.0}});
    const State z(spec);
    solver.loop.solve(map, z.view(), solver.report);
    CHECK(solver.report.breakdowns == 4);
    CHECK(std::isfinite(z.sample(0)[0]));
  }
}

TEST_CASE("a used-up time budget ends the solve at the best iterates seen") {
  const StateSpec spec = spec_of(2, 9);
  SampleMap map(spec, [](int sample, const Vector& z) {
    Vector y(z);
    for (double& value : y) value = sample == 0 ? 0.0 : 0.9 * value + 1.0;
    return y;
  });
  const SolverOptions unlimited{.method = Picard{}, .max_steps = 50, .tolerance = {1e-3, NormMode::absolute}};
  SolverOptions hurried = unlimited;
  hurried.time_budget_ms = 1e-9;  // over at the first look at the clock
  BoundLoop hurried_loop(spec, hurried);
  const State z(spec);
  hurried_loop.loop.solve(map, z.view(), hurried_loop.report);
  const SolveReport& report = hurried_loop.report;
  CHECK(report.is_out_of_time);
  CHECK(report.map_calls == 1);
  CHECK(report.sample_evaluations == 2);
  CHECK(report.status == std::vector<SolveStatus>{SolveStatus::converged, SolveStatus::max_steps});
  CHECK(report.steps == std::vector<int>{0, 0});
  CHECK(report.residual[1] == doctest::Approx(3.0));  // nine ones
  CHECK(z.sample(1) == Vector(9, 0.0));

  SolverOptions patient = unlimited;
  patient.time_budget_ms = 1e9;
  BoundLoop patient_loop(spec, patient), unlimited_loop(spec, unlimited);
  const State with_budget(spec), without(spec);
  patient_loop.loop.solve(map, with_budget.view(), patient_loop.report);
  unlimited_loop.loop.solve(map, without.view(), unlimited_loop.report);
  CHECK_FALSE(patient_loop.report.is_out_of_time);
  CHECK(patient_loop.report.steps == unlimited_loop.report.steps);
  CHECK(with_budget.sample(1) == without.sample(1));
}

TEST_CASE("a map that stopped samples leave is asked for the running ones alone") {
  /// Counts what it is asked for.
  class CountingMap final : public FixedPointMap {
   public:
    explicit CountingMap(SampleMap& inner) : inner_(&inner) {}
    [[nodiscard]] const StateSpec& spec() const override { return inner_->spec(); }
    StateView input() override { return inner_->input(); }
    StateView output() override { return inner_->output(); }
    void replay() override { inner_->replay(); }
    int replay_running(std::span<const std::uint8_t> running) override {
      inner_->replay();
      asked.push_back(static_cast<int>(std::count(running.begin(), running.end(), 1)));
      return asked.back();
    }
    std::vector<int> asked;

   private:
    SampleMap* inner_;
  };
  const StateSpec spec = spec_of(3, 9);
  SampleMap inner(spec, [](int sample, const Vector& z) {
    Vector y(z);
    for (double& value : y) value = 1.0 + 0.4 * sample * value;
    return y;
  });
  CountingMap map(inner);
  BoundLoop solver(spec, {.method = Picard{}, .max_steps = 30, .tolerance = {1e-2, NormMode::absolute}});
  const State z(spec);
  solver.loop.solve(map, z.view(), solver.report);
  const SolveReport& report = solver.report;
  CHECK(std::is_sorted(map.asked.rbegin(), map.asked.rend()));
  CHECK(map.asked.front() == 3);
  CHECK(map.asked.back() == 1);
  const int needed = report.steps[0] + report.steps[1] + report.steps[2] + 3;
  CHECK(report.sample_evaluations == needed);
  CHECK(report.evaluations_saved() == doctest::Approx(1.0 - needed / (3.0 * report.map_calls)));
}

TEST_CASE("wrong options are refused by name") {
  HostStateOps ops;
  const StateSpec spec = spec_of(1, 9);
  CHECK_THROWS_WITH_AS(Loop(spec, ops, {.max_steps = 0}), "solver: max_steps is 0 but must be at least 1",
                       RequestError);
  CHECK_THROWS_AS(Loop(spec, ops, {.method = Picard{.damping = 0.0}}), RequestError);
  CHECK_THROWS_AS(Loop(spec, ops, {.method = Anderson{.memory = 0}}), RequestError);
  CHECK_THROWS_AS(Loop(spec, ops, {.tolerance = {.value = -1.0}}), RequestError);
  CHECK_THROWS_WITH_AS(Loop(spec, ops, {.tolerance = {.value = std::numeric_limits<double>::infinity()}}),
                       "solver: tolerance is inf but must be finite and not negative", RequestError);
  CHECK_THROWS_AS(Loop(spec, ops, {.time_budget_ms = -1.0}), RequestError);
  CHECK_THROWS_AS(Loop(spec, ops, {.patience = -1}), RequestError);
  CHECK_THROWS_AS(Loop(spec, ops, {.divergence_factor = -1.0}), RequestError);
}

}  // namespace deq::test
