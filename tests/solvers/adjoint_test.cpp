#include "solvers/adjoint.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "core/error.h"
#include "solvers/names.h"
#include "solvers/policy.h"
#include "tests/solvers/toy_maps.h"

namespace deq::test {
namespace {

constexpr int kSize = 30;
constexpr int kForwardSteps = 18;

/// The toy of SHINE's maths: f = tanh(W z + b), 18 Broyden steps, a random cotangent w.
struct Toy {
  Toy(double scale, unsigned seed)
      : spec{.batch = 1, .block_elems = {kSize}, .dtype = DType::f64},
        model(kSize, scale, seed),
        map(
            spec, [this](int, const Vector& at) { return model.f(at); }, false),
        forward(spec, {.max_steps = kForwardSteps, .tolerance = {.value = 0.0}}),
        z(spec),
        w(random_state(spec, seed + 1000)) {
    forward.loop.solve(map, z.view(), forward.report);
    exact = model.exact_adjoint(z.sample(0), w.sample(0));
  }
  [[nodiscard]] Vector adjoint(const AdjointOptions& options) {
    SampleMap vjp(
        spec, [this](int, const Vector& v) { return model.vjp(z.sample(0), v); }, false);
    Adjoint solver(spec, forward.ops, options);
    const AlignedBytes workspace = allocate_aligned(solver.workspace_bytes() + 64);
    solver.bind(workspace.get());
    const State u(spec);
    solver.solve(vjp, forward.loop.estimate(), forward.report, w.view(), u.view(), report);
    method = report.method;
    return u.sample(0);
  }
  [[nodiscard]] double error(const AdjointOptions& options) { return distance(adjoint(options), exact) / norm(exact); }
  [[nodiscard]] double cosine(const Vector& u) const { return dot(u, exact) / (norm(u) * norm(exact)); }

  StateSpec spec;
  TanhModel model;
  SampleMap map;
  BoundLoop forward;
  State z;
  State w;
  Vector exact;
  SolveReport report;
  std::string method;  // the report's view ends with the solver
};

template <class Measure>
double median_over_seeds(double scale, const Measure& measure) {
  std::vector<double> values;
  for (unsigned seed = 0; seed < 41; ++seed) {
    Toy toy(scale, seed);
    values.push_back(measure(toy));
  }
  std::nth_element(values.begin(), values.begin() + 20, values.end());
  return values[20];
}

}  // namespace

TEST_CASE("refinement errors follow the table of SHINE's maths") {
  // Medians; the recorded errors are of one instance, hence a factor of 3.
  struct Row {
    AdjointStart start;
    int steps;
    double error;
  };
  const std::vector<Row> table{
      {AdjointStart::zero, 1, 0.51},     {AdjointStart::zero, 2, 0.28},     {AdjointStart::zero, 5, 0.048},
      {AdjointStart::identity, 1, 0.28}, {AdjointStart::identity, 2, 0.19}, {AdjointStart::identity, 5, 0.015},
      {AdjointStart::shared, 1, 0.11},   {AdjointStart::shared, 2, 0.033},  {AdjointStart::shared, 5, 3.9e-4}};
  for (const Row& row : table) {
    const double found =
        median_over_seeds(0.9, [&](Toy& toy) { return toy.error(Refined{.start = row.start, .steps = row.steps}); });
    CAPTURE(static_cast<int>(row.start));
    CAPTURE(row.steps);
    CHECK(found < 3.0 * row.error);
    CHECK(found > row.error / 3.0);
  }
}

TEST_CASE("refinement also works where the map is no contraction") {
  const auto error = [](AdjointStart start) {
    return median_over_seeds(1.5, [&](Toy& toy) { return toy.error(Refined{.start = start, .steps = 5}); });
  };
  const double shared = error(AdjointStart::shared);
  CHECK(shared < error(AdjointStart::identity));
  CHECK(shared < error(AdjointStart::zero));
}

TEST_CASE("sharing needs the left product") {
  const double left = median_over_seeds(0.9, [](Toy& toy) { return toy.cosine(toy.adjoint(SharedInverse{})); });
  const double right = median_over_seeds(0.9, [](Toy& toy) {
    const State u(toy.spec);
    toy.forward.loop.estimate().apply(toy.w.view(), u.view());
    return toy.cosine(u.sample(0));
  });
  const double jfb = median_over_seeds(0.9, [](Toy& toy) { return toy.cosine(toy.adjoint(JacobianFree{})); });
  CHECK(left > jfb);
  CHECK(jfb > right);
}

TEST_CASE("the full adjoint is exact and counts its products") {
  Toy toy(0.9, 3);
  const FullAdjoint full{.solver = {.max_steps = 80, .tolerance = {1e-11, NormMode::relative}}};
  CHECK(toy.error(full) < 1e-9);
  CHECK(toy.report.status[0] == SolveStatus::converged);
  CHECK(toy.report.map_calls == toy.report.steps_run + 1);
  CHECK(toy.method == "exact");
}

TEST_CASE("a shared estimate makes no product and says so") {
  Toy toy(0.9, 3);
  (void)toy.adjoint(SharedInverse{});
  CHECK(toy.report.map_calls == 0);
  CHECK(std::isnan(toy.report.residual[0]));
  CHECK(toy.method == "shine");
}

TEST_CASE("only samples whose estimate must not be shared fall back to w") {
  // Sample 0: f = 0.9 z gains 10 > 1.8; sample 1: f = -z / 2 gains 2 / 3; sample 2: as 1, but its forward diverged.
  const StateSpec spec{.batch = 3, .block_elems = {4}, .dtype = DType::f64};
  SampleMap map(spec, [](int b, const Vector& z) {
    Vector y = z;
    for (double& value : y) value = (b == 0 ? 0.9 : -0.5) * value + 1.0;
    return y;
  });
  BoundLoop forward(spec, {.max_steps = 1, .tolerance = {.value = 0.0}});
  const State z(spec);
  forward.loop.solve(map, z.view(), forward.report);
  forward.report.status[2] = SolveStatus::diverged;
  State w(spec);
  for (int b = 0; b < 3; ++b) w.set(b, Vector(4, 1.0));  // along the only direction the estimate knows
  const State u(spec);
  SolveReport report;
  for (const double gain : {kShineGain, 0.0}) {
    Adjoint adjoint(spec, forward.ops, SharedInverse{.max_gain = gain});
    adjoint.bind(nullptr);
    adjoint.solve(map, forward.loop.estimate(), forward.report, w.view(), u.view(), report);
    CHECK(report.is_fallback == std::vector<std::uint8_t>{gain > 0.0, 0, 1});
    CHECK(u.sample(0)[0] == doctest::Approx(gain > 0.0 ? 1.0 : 10.0));
    CHECK(u.sample(1)[0] == doctest::Approx(2.0 / 3.0));
    CHECK(u.sample(2) == w.sample(2));
  }
}

TEST_CASE("estimator names read back as they are written") {
  for (const char* name : {"jfb", "shine", "shine-fallback", "shine-refine-5", "jfb-refine-2", "limited-10", "exact"})
    CHECK(name_of(adjoint_from_name(name)) == name);
  for (const char* name : {"picard", "anderson", "broyden", "broyden-lowrank"})
    CHECK(name_of(method_from_name(name)) == name);
}

TEST_CASE("an unknown estimator is refused with the list of those there are") {
  for (const char* name : {"shin", "", "shine-refine-", "shine-refine-0", "limited-x", "jfb-refine-5x"})
    CHECK_THROWS_AS((void)adjoint_from_name(name), RequestError);
  CHECK_THROWS_WITH_AS((void)method_from_name("newton"),
                       "solver: 'newton' is none of picard, anderson, broyden, broyden-lowrank", RequestError);
}

TEST_CASE("a policy keeps the estimate and the vjp only where they are read") {
  const StateSpec spec{.batch = 2, .block_elems = {8}};
  HostStateOps ops;
  const ImplicitPolicy shine;
  const ImplicitPolicy jfb({}, JacobianFree{});
  const ImplicitPolicy refined({}, Refined{});
  CHECK(shine.make_solver(spec, ops)->estimate_bytes() == 19 * 64);  // 18 + 1 states of 64 bytes
  CHECK(jfb.make_solver(spec, ops)->estimate_bytes() == 0);
  CHECK_FALSE(shine.needs_vjp());
  CHECK_FALSE(jfb.needs_vjp());
  CHECK(refined.needs_vjp());
  CHECK(shine.describe() == "broyden(max_steps=18, relative 0.001), shine");
}

}  // namespace deq::test
