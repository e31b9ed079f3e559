#include "solvers/adjoint.h"

#include <doctest/doctest.h>

#include <cmath>
#include <string>

#include "core/error.h"
#include "solvers/names.h"
#include "solvers/policy.h"
#include "tests/solvers/toy_adjoint.h"

namespace deq::test {

TEST_CASE("the full adjoint is exact and counts its products") {
  ToyAdjoint toy(0.9, 3);
  const FullAdjoint full{.solver = {.max_steps = 80, .tolerance = {1e-11, NormMode::relative}}};
  CHECK(toy.error(full) < 1e-9);
  CHECK(toy.report.status[0] == SolveStatus::converged);
  CHECK(toy.report.map_calls == toy.report.steps_run + 1);
  CHECK(toy.method == "exact");
}

TEST_CASE("a shared estimate makes no product and says so") {
  ToyAdjoint toy(0.9, 3);
  for (const AdjointOptions& options : {AdjointOptions(SharedInverse{}), AdjointOptions(JacobianFree{})}) {
    (void)toy.adjoint(options);
    CHECK(toy.report.map_calls == 0);
    CHECK(std::isnan(toy.report.residual[0]));
    CHECK(toy.report.status[0] == SolveStatus::not_solved);
    CHECK_FALSE(is_breakdown(toy.report.status[0]));
    CHECK(name_of(toy.report.status[0]) == "not_solved");
    CHECK(toy.method == name_of(options));
  }
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
                       "solver: 'newton' is none of picard, anderson, broyden, broyden-lowrank, adjoint-broyden, "
                       "newton-krylov",
                       RequestError);
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
