#include <doctest/doctest.h>

#include <cmath>
#include <memory>

#include "solvers/names.h"
#include "tests/solvers/toy_maps.h"

namespace deq::test {
namespace {

constexpr int kSteps = 7;
const std::vector<SolverMethod> kMethods{Picard{.damping = 0.8}, Anderson{.memory = 5, .mixing = 0.9}, Broyden{},
                                         Broyden{.form = BroydenForm::low_rank}};

/// A solve of kSteps on a toy model, with what the contract needs to know of its path.
struct Solved {
  Solved(const SolverMethod& method, DType dtype, int steps = kSteps)
      : spec{.batch = 3, .block_elems = {20, 7}, .dtype = dtype},
        model(27, 0.7, 3),
        map(spec, [this](int sample, const Vector& at) { return shifted(sample, at); }),
        solver(spec, {.method = method, .max_steps = steps, .tolerance = {.value = 0.0}}),
        z(spec) {
    solver.loop.solve(map, z.view(), solver.report);
  }
  [[nodiscard]] Vector shifted(int sample, const Vector& at) const {
    Vector y = model.f(at);
    for (double& value : y) value += 0.1 * sample;
    return y;
  }
  [[nodiscard]] Vector iterate(int step, int sample) const { return map.queries[step][sample]; }
  [[nodiscard]] Vector residual(int step, int sample) const {
    Vector r = shifted(sample, iterate(step, sample));
    for (std::size_t i = 0; i < r.size(); ++i) r[i] -= iterate(step, sample)[i];
    return r;
  }
  StateSpec spec;
  TanhModel model;
  SampleMap map;
  BoundLoop solver;
  State z;
};

Vector minus(Vector x, const Vector& y) {
  for (std::size_t i = 0; i < x.size(); ++i) x[i] -= y[i];
  return x;
}

/// What good Broyden's inverse is after `steps` steps of a run, as a matrix: with s the step, y the change of the
/// residual, M+ = M - (s + M y) (s^T M) / (s^T M y), M0 = I.
Matrix dense_broyden(const Solved& run, int sample, int steps) {
  const int n = static_cast<int>(run.spec.sample_elems());
  Matrix m(n, n);
  for (int i = 0; i < n; ++i) m.at(i, i) = 1.0;
  for (int step = 1; step <= steps; ++step) {
    const Vector s = minus(run.iterate(step, sample), run.iterate(step - 1, sample));
    const Vector m_y = m.times(minus(run.residual(step, sample), run.residual(step - 1, sample)));
    const Vector s_m = m.transposed_times(s);
    const double along = dot(s, m_y);
    for (int i = 0; i < n; ++i)
      for (int j = 0; j < n; ++j) m.at(i, j) -= (s[i] + m_y[i]) * s_m[j] / along;
  }
  return m;
}

}  // namespace

TEST_CASE("both forms of Broyden multiply as the dense inverse does, from either side") {
  constexpr double kRounding = 1e-12;  // of 7 factors on 27 elements, measured from differences of iterates
  for (const SolverMethod& method : {kMethods[2], kMethods[3]})
    for (int steps = 1; steps <= kSteps; ++steps) {
      CAPTURE(name_of(method));
      CAPTURE(steps);
      const Solved run(method, DType::f64, steps);
      const State x = random_state(run.spec, 21);
      const State m_x(run.spec);
      const State mt_x(run.spec);
      run.solver.loop.estimate().apply(x.view(), m_x.view());
      run.solver.loop.estimate().apply_transpose(x.view(), mt_x.view());
      for (int b = 0; b < run.spec.batch; ++b) {
        const Matrix dense = dense_broyden(run, b, run.solver.report.best_step[b]);
        CHECK(distance(m_x.sample(b), dense.times(x.sample(b))) < kRounding * norm(m_x.sample(b)));
        CHECK(distance(mt_x.sample(b), dense.transposed_times(x.sample(b))) < kRounding * norm(mt_x.sample(b)));
      }
    }
}

TEST_CASE("Broyden's secant equation holds to rounding after every step") {
  constexpr double kRounding = 1e-12;  // relative to the step, whose difference of iterates cancels digits
  for (const SolverMethod& method : {kMethods[2], kMethods[3]})
    for (int steps = 1; steps <= kSteps; ++steps) {
      const Solved run(method, DType::f64, steps);
      State y(run.spec);
      const State m_y(run.spec);
      for (int b = 0; b < run.spec.batch; ++b) y.set(b, minus(run.residual(steps, b), run.residual(steps - 1, b)));
      run.solver.loop.estimate().apply(y.view(), m_y.view());
      for (int b = 0; b < run.spec.batch; ++b) {
        if (run.solver.report.best_step[b] != steps) continue;  // cut back: this step is no longer in the inverse
        const Vector s = minus(run.iterate(steps, b), run.iterate(steps - 1, b));
        CHECK(distance(m_y.sample(b), minus(Vector(s.size(), 0.0), s)) < kRounding * norm(s));
      }
    }
}

TEST_CASE("the transpose of every estimate is its adjoint") {
  for (const DType dtype : {DType::f64, DType::f32})
    for (const SolverMethod& method : kMethods) {
      CAPTURE(name_of(method));
      CAPTURE(name_of(dtype));
      Solved run(method, dtype);
      const State x = random_state(run.spec, 11);
      const State w = random_state(run.spec, 12);
      const State m_x(run.spec);
      const State mt_w(run.spec);
      run.solver.loop.estimate().apply(x.view(), m_x.view());
      transposed(run.solver.loop.estimate()).apply(w.view(), mt_w.view());
      for (int b = 0; b < run.spec.batch; ++b) {
        const double scale = norm(m_x.sample(b)) * norm(w.sample(b));
        const double error = std::abs(dot(m_x.sample(b), w.sample(b)) - dot(x.sample(b), mt_w.sample(b)));
        CHECK(error < (dtype == DType::f64 ? 1e-12 : 1e-4) * scale);  // rounding of the vectors, 7 factors
      }
    }
}

TEST_CASE("estimates satisfy the secant equation of the last step") {
  for (const SolverMethod& method : {kMethods[1], kMethods[2], kMethods[3]}) {
    CAPTURE(name_of(method));
    Solved run(method, DType::f64);
    State y(run.spec);
    const State m_y(run.spec);
    for (int b = 0; b < run.spec.batch; ++b) {
      REQUIRE(run.solver.report.best_step[b] == kSteps);
      y.set(b, minus(run.residual(kSteps, b), run.residual(kSteps - 1, b)));
    }
    run.solver.loop.estimate().apply(y.view(), m_y.view());
    for (int b = 0; b < run.spec.batch; ++b) {
      const Vector s = minus(run.iterate(kSteps, b), run.iterate(kSteps - 1, b));
      Vector sum = m_y.sample(b);  // M y = -s
      for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += s[i];
      CHECK(norm(sum) < 1e-9 * norm(s));
    }
  }
}

TEST_CASE("Anderson's estimate satisfies the secant equation of its whole history") {
  Solved run(Anderson{.memory = 5, .mixing = 0.9}, DType::f64);
  State y(run.spec);
  const State m_y(run.spec);
  for (int step = kSteps - 3; step <= kSteps; ++step) {
    for (int b = 0; b < run.spec.batch; ++b) y.set(b, minus(run.residual(step, b), run.residual(step - 1, b)));
    run.solver.loop.estimate().apply(y.view(), m_y.view());
    for (int b = 0; b < run.spec.batch; ++b)
      CHECK(norm(minus(m_y.sample(b), minus(run.iterate(step - 1, b), run.iterate(step, b)))) < 1e-8);
  }
}

TEST_CASE("an estimate of rank 0 is the identity") {
  const StateSpec spec{.batch = 2, .block_elems = {6}, .dtype = DType::f64};
  for (const SolverMethod& method : {SolverMethod(Picard{}), SolverMethod(Anderson{}), kMethods[2], kMethods[3]}) {
    CAPTURE(name_of(method));
    SampleMap map(spec, [](int, const Vector& z) { return z; });  // every point is fixed: solved at step 0
    BoundLoop solver(spec, {.method = method});
    State z = random_state(spec, 4);
    solver.loop.solve(map, z.view(), solver.report);
    CHECK(solver.report.map_calls == 1);
    const State x = random_state(spec, 5);
    const State out(spec);
    for (int b = 0; b < 2; ++b) CHECK(solver.loop.estimate().rank()[b] == 0);
    solver.loop.estimate().apply(x.view(), out.view());
    for (int b = 0; b < 2; ++b) CHECK(out.sample(b) == x.sample(b));
    solver.loop.estimate().apply_transpose(x.view(), out.view());
    for (int b = 0; b < 2; ++b) CHECK(out.sample(b) == x.sample(b));
  }
}

TEST_CASE("the rank of an estimate is the step of the returned iterate") {
  for (const SolverMethod& method : {kMethods[2], kMethods[3]}) {
    Solved run(method, DType::f64);
    for (int b = 0; b < run.spec.batch; ++b)
      CHECK(run.solver.loop.estimate().rank()[b] == run.solver.report.best_step[b]);
  }
}

TEST_CASE("an estimate cut back to an earlier iterate equals that of a run stopped there") {
  // From step 5 on the map returns garbage for sample 1, so its best iterate is that of step 4.
  const StateSpec spec{.batch = 2, .block_elems = {9}, .dtype = DType::f64};
  const TanhModel model(9, 0.8, 8);
  for (const SolverMethod& method : kMethods) {
    CAPTURE(name_of(method));
    int calls = 0;
    SampleMap spoiled(spec, [&](int sample, const Vector& z) {
      ++calls;
      Vector y = model.f(z);
      if (sample == 1 && calls > 2 * 5) y[0] += 50.0;
      return y;
    });
    SampleMap clean(spec, [&](int, const Vector& z) { return model.f(z); });
    BoundLoop longer(spec, {.method = method, .max_steps = 6, .tolerance = {.value = 0.0}});
    BoundLoop shorter(spec, {.method = method, .max_steps = 4, .tolerance = {.value = 0.0}});
    const State z_longer(spec);
    const State z_shorter(spec);
    longer.loop.solve(spoiled, z_longer.view(), longer.report);
    shorter.loop.solve(clean, z_shorter.view(), shorter.report);
    REQUIRE(longer.report.best_step[1] == 4);
    CHECK(z_longer.sample(1) == z_shorter.sample(1));
    const State x = random_state(spec, 9);
    const State a(spec);
    const State b(spec);
    longer.loop.estimate().apply_transpose(x.view(), a.view());
    shorter.loop.estimate().apply_transpose(x.view(), b.view());
    // Anderson's ring has lost two of the older differences by then unless its memory spans the run.
    if (!std::holds_alternative<Anderson>(method)) CHECK(distance(a.sample(1), b.sample(1)) < 1e-12);
  }
}

}  // namespace deq::test
