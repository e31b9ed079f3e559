#include <doctest/doctest.h>

#include <cmath>

#include "core/cpu/bfloat16.h"
#include "core/error.h"
#include "tests/solvers/toy_maps.h"

// Broyden's steps kept in bf16: half the bytes, the same method up to the rounding of the steps.

namespace deq::test {
namespace {

constexpr double kRoundOff = 1.0 / 512;  // relative error of one rounding to bf16
const Broyden kRounded{.history = StepHistory::bf16};
// 600 elements: whole blocks of the vector loops and a rest.
const StateSpec kSpec{.batch = 3, .block_elems = {600, 7}, .dtype = DType::f32};

struct Run {
  Run(const StateSpec& spec, const Broyden& method, int max_steps, double tolerance)
      : model(static_cast<int>(spec.sample_elems()), 0.9, 5),
        map(spec,
            [this](int sample, const Vector& at) {
              Vector y = model.f(at);
              for (double& value : y) value += 0.2 * sample;
              return y;
            }),
        solver(spec, {.method = method, .max_steps = max_steps, .tolerance = {.value = tolerance}}),
        z(spec) {
    solver.loop.solve(map, z.view(), solver.report);
  }
  [[nodiscard]] Vector residual(int step, int sample) const {
    Vector r = model.f(map.queries[step][sample]);
    for (std::size_t i = 0; i < r.size(); ++i) r[i] += 0.2 * sample - map.queries[step][sample][i];
    return r;
  }
  TanhModel model;
  SampleMap map;
  BoundLoop solver;
  State z;
};

Vector minus(Vector x, const Vector& y) {
  for (std::size_t i = 0; i < x.size(); ++i) x[i] -= y[i];
  return x;
}

}  // namespace

TEST_CASE("bf16 rounds to the nearest, ties to even, and keeps inf") {
  CHECK(widen(round_to_bfloat16(1.0F)) == 1.0F);
  CHECK(widen(round_to_bfloat16(1.0F + 1.0F / 256)) == 1.0F);                // a tie: down to even
  CHECK(widen(round_to_bfloat16(1.0F + 3.0F / 256)) == 1.0F + 4.0F / 256);   // a tie: up to even
  CHECK(widen(round_to_bfloat16(1.0F + 1.01F / 256)) == 1.0F + 2.0F / 256);  // above the tie
  CHECK(widen(round_to_bfloat16(-3.0e38F)) < -2.9e38F);
  CHECK(std::isinf(widen(round_to_bfloat16(3.4e38F))));
  CHECK(std::isinf(widen(round_to_bfloat16(HUGE_VALF))));
}

TEST_CASE("a bf16 history takes half the bytes of a float one") {
  HostStateOps ops;
  constexpr int kSteps = 12;
  const auto bytes = [&](const Broyden& method) {
    return Loop(kSpec, ops, {.method = method, .max_steps = kSteps}).estimate_bytes();
  };
  const std::size_t full = bytes(Broyden{}), rounded = bytes(kRounded);
  CHECK(full >= (kSteps + 1) * kSpec.bytes());
  CHECK(rounded <= full / 2 + (kSteps + 1) * 64);  // slots start at multiples of 64 bytes
}

TEST_CASE("the transpose of a bf16 estimate is its adjoint, exactly but for the sums") {
  for (const DType dtype : {DType::f32, DType::f64}) {
    StateSpec spec = kSpec;
    spec.dtype = dtype;
    const Run run(spec, kRounded, 8, 0.0);
    const State x = random_state(spec, 1), w = random_state(spec, 2), m_x(spec), mt_w(spec);
    run.solver.loop.estimate().apply(x.view(), m_x.view());
    run.solver.loop.estimate().apply_transpose(w.view(), mt_w.view());
    for (int b = 0; b < spec.batch; ++b) {
      REQUIRE(run.solver.loop.estimate().rank()[b] > 0);
      const double error = std::abs(dot(m_x.sample(b), w.sample(b)) - dot(x.sample(b), mt_w.sample(b)));
      CHECK(error < (dtype == DType::f64 ? 1e-13 : 1e-6) * norm(m_x.sample(b)) * norm(w.sample(b)));
    }
  }
}

TEST_CASE("the secant equation holds within the rounding of a bf16 step") {
  constexpr int kSteps = 6;
  StateSpec spec = kSpec;
  spec.dtype = DType::f64;
  const auto worst = [&](const Broyden& method) {
    const Run run(spec, method, kSteps, 0.0);
    State y(spec);
    const State m_y(spec);
    for (int b = 0; b < spec.batch; ++b) {
      REQUIRE(run.solver.report.best_step[b] == kSteps);
      y.set(b, minus(run.residual(kSteps, b), run.residual(kSteps - 1, b)));
    }
    run.solver.loop.estimate().apply(y.view(), m_y.view());
    double out = 0.0;
    for (int b = 0; b < spec.batch; ++b) {
      const Vector back = minus(run.map.queries[kSteps - 1][b], run.map.queries[kSteps][b]);  // -s
      out = std::max(out, norm(minus(m_y.sample(b), back)) / norm(back));
    }
    return out;
  };
  CHECK(worst(kRounded) < kRoundOff);
  CHECK(worst(kRounded) > 1e-8);  // the history is rounded indeed
  CHECK(worst(Broyden{}) < 1e-10);
}

TEST_CASE("a bf16 history costs no step on the way to 1e-3 and at most one to 1e-6") {
  for (const double tolerance : {1e-3, 1e-6}) {
    const Run full(kSpec, Broyden{}, 40, tolerance), rounded(kSpec, kRounded, 40, tolerance);
    for (int b = 0; b < kSpec.batch; ++b) {
      CAPTURE(tolerance);
      CHECK(full.solver.report.status[b] == SolveStatus::converged);
      CHECK(rounded.solver.report.status[b] == SolveStatus::converged);
      CHECK(rounded.solver.report.steps[b] <= full.solver.report.steps[b] + (tolerance < 1e-3 ? 1 : 0));
    }
  }
}

TEST_CASE("a bf16 history leaves SHINE's gradient as good as it was") {
  const Run full(kSpec, Broyden{}, 18, 0.0), rounded(kSpec, kRounded, 18, 0.0);
  const State w = random_state(kSpec, 3), from_full(kSpec), from_rounded(kSpec);
  full.solver.loop.estimate().apply_transpose(w.view(), from_full.view());
  rounded.solver.loop.estimate().apply_transpose(w.view(), from_rounded.view());
  for (int b = 0; b < kSpec.batch; ++b) {
    const Vector exact = full.model.exact_adjoint(full.z.sample(b), w.sample(b));
    const double error = distance(from_full.sample(b), exact) / norm(exact);
    const double error_rounded = distance(from_rounded.sample(b), exact) / norm(exact);
    const double change = distance(from_full.sample(b), from_rounded.sample(b)) / norm(exact);
    CHECK(change < 0.1 * error);
    CHECK(std::abs(error_rounded - error) < 0.01 * error);
  }
}

TEST_CASE("a bf16 history restarts and starts from a base as a full one does") {
  const Broyden limited{.memory = 4, .limit = MemoryLimit::restart, .history = StepHistory::bf16};
  const Run run(kSpec, limited, 60, 1e-5);
  CHECK(run.solver.report.count(SolveStatus::converged) == kSpec.batch);
  CHECK(run.solver.report.restarts > 0);

  const Run first(kSpec, kRounded, 40, 1e-5);
  BoundLoop second(kSpec, {.method = kRounded, .max_steps = 40, .tolerance = {.value = 1e-5}});
  Run again(kSpec, kRounded, 1, 1e-5);
  const State z(kSpec);
  second.loop.solve_from(again.map, z.view(), &first.solver.loop.estimate(), second.report);
  CHECK(second.report.count(SolveStatus::converged) == kSpec.batch);
  for (int b = 0; b < kSpec.batch; ++b) CHECK(second.report.steps[b] < first.solver.report.steps[b]);
}

TEST_CASE("pairs are not kept in bf16, and the error says what to do") {
  HostStateOps ops;
  for (const Broyden& method : {Broyden{.form = BroydenForm::low_rank, .history = StepHistory::bf16},
                                Broyden{.memory = 3, .history = StepHistory::bf16}})
    CHECK_THROWS_WITH_AS(Loop(kSpec, ops, {.method = method, .max_steps = 9}), doctest::Contains("keep all steps"),
                         RequestError);
}

}  // namespace deq::test
