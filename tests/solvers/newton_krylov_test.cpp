#include <doctest/doctest.h>

#include "core/error.h"
#include "tests/solvers/toy_maps.h"

namespace deq::test {
namespace {

constexpr int kSize = 20;

StateSpec spec_of(int batch) { return {.batch = batch, .block_elems = {kSize - 8, 8}, .dtype = DType::f64}; }

ModelMap map_of(const TanhModel& model, int batch) {
  return {spec_of(batch),
          {.f =
               [&model](int b, const Vector& z) {
                 Vector y = model.f(z);
                 for (double& value : y) value += 0.2 * b;
                 return y;
               },
           .jvp = [&model](int, const Vector& z, const Vector& v) { return model.jvp(z, v); }}};
}

}  // namespace

TEST_CASE("Newton-Krylov with exact inner solves converges quadratically") {
  const TanhModel model(kSize, 0.9, 3);
  ModelMap map = map_of(model, 2);
  BoundLoop solver(spec_of(2), {.method = NewtonKrylov{.inner_steps = kSize, .forcing = 1e-12},
                                .max_steps = 12,
                                .tolerance = {1e-12, NormMode::absolute}});
  const State z(spec_of(2));
  solver.loop.solve(map, z.view(), solver.report);
  CHECK(solver.report.count(SolveStatus::converged) == 2);
  CHECK(solver.report.steps_run <= 8);
}

TEST_CASE("Newton-Krylov solves a map that is no contraction, and counts its products") {
  const TanhModel model(kSize, 1.5, 5);
  ModelMap map = map_of(model, 1);
  BoundLoop solver(spec_of(1), {.method = NewtonKrylov{}, .max_steps = 40, .tolerance = {1e-8, NormMode::absolute}});
  const State z(spec_of(1));
  solver.loop.solve(map, z.view(), solver.report);
  CHECK(solver.report.status[0] == SolveStatus::converged);
  CHECK(solver.report.jacobian_products > solver.report.steps_run);
  CHECK(solver.report.jacobian_products <= 10 * solver.report.steps_run);
}

TEST_CASE("one step of Newton-Krylov solves an affine map, also where the Krylov space is exhausted early") {
  // f = 0.5 z + 1: the space is exhausted after one direction.
  ModelMap map(spec_of(1), {.f =
                                [](int, const Vector& z) {
                                  Vector y = z;
                                  for (double& value : y) value = 0.5 * value + 1.0;
                                  return y;
                                },
                            .jvp =
                                [](int, const Vector&, const Vector& v) {
                                  Vector y = v;
                                  for (double& value : y) value *= 0.5;
                                  return y;
                                }});
  BoundLoop solver(spec_of(1), {.method = NewtonKrylov{.forcing = 0.0}, .tolerance = {1e-12, NormMode::absolute}});
  const State z(spec_of(1));
  solver.loop.solve(map, z.view(), solver.report);
  CHECK(solver.report.status[0] == SolveStatus::converged);
  CHECK(solver.report.steps_run == 1);
  CHECK(solver.report.jacobian_products == 1);
}

TEST_CASE("Newton-Krylov refuses a map without products and options without sense") {
  HostStateOps ops;
  CHECK_THROWS_AS(Loop(spec_of(1), ops, {.method = NewtonKrylov{.inner_steps = 0}}), RequestError);
  CHECK_THROWS_AS(Loop(spec_of(1), ops, {.method = NewtonKrylov{.forcing = 1.0}}), RequestError);
  SampleMap plain(spec_of(1), [](int, const Vector& z) { return z; });
  BoundLoop solver(spec_of(1), {.method = NewtonKrylov{}});
  const State z(spec_of(1));
  CHECK_THROWS_WITH_AS(solver.loop.solve(plain, z.view(), solver.report),
                       "newton_krylov: the map offers no products with its J", Error);
}

}  // namespace deq::test
