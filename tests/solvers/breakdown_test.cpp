#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "solvers/fallback.h"
#include "solvers/names.h"
#include "tests/solvers/toy_maps.h"

// What each solver does when its mathematics fails, and the chain that goes on then.

namespace deq::test {
namespace {

constexpr int kSize = 12;
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

StateSpec spec_of(int batch) { return {.batch = batch, .block_elems = {kSize}, .dtype = DType::f64}; }

const std::vector<SolverMethod> kAllMethods{Picard{},
                                            Anderson{},
                                            Broyden{},
                                            Broyden{.memory = 3},
                                            Broyden{.form = BroydenForm::low_rank},
                                            AdjointBroyden{},
                                            AdjointBroyden{.memory = 3, .outer_every = 2},
                                            NewtonKrylov{}};

/// Sample `bad` sees `spoil` of f, all others f = tanh(W z + b) with b shifted by the sample.
struct Batch {
  using Spoil = std::function<Vector(const Vector& z, const Vector& y)>;
  Batch(int first, int count, int bad, Spoil spoil)
      : model(kSize, 0.8, 4),
        map(spec_of(count), {.f =
                                 [this, first, bad, spoil](int b, const Vector& z) {
                                   Vector y = model.f(z);
                                   for (double& value : y) value += 0.1 * (first + b);
                                   return first + b == bad ? spoil(z, y) : y;
                                 },
                             .vjp = [this](int, const Vector& z, const Vector& v) { return model.vjp(z, v); },
                             .jvp = [this](int, const Vector& z, const Vector& v) { return model.jvp(z, v); },
                             .outer_gradient = [](int, const Vector& z) { return Vector(z.size(), 1.0); }}) {}
  TanhModel model;
  ModelMap map;
};

const std::vector<std::pair<const char*, Batch::Spoil>> kDrills{
    {"nan from f", [](const Vector&, Vector y) { return y[3] = kNan, y; }},
    {"inf from f", [](const Vector&, Vector y) { return y[3] = HUGE_VAL, y; }},
    {"zero denominators", [](Vector z, const Vector&) { return z[0] += 1.0, z; }},
    {"constant f, a singular history", [](const Vector& z, const Vector&) { return Vector(z.size(), 0.5); }},
    {"no contraction at all",
     [](Vector z, const Vector&) {
       for (double& value : z) value = 30.0 * value + value * value + 1.0;
       return z;
     }},
};

FallbackSolver chain_of(const StateSpec& spec, StateOps& ops, const std::vector<SolverMethod>& methods,
                        SolverOptions options) {
  std::vector<std::unique_ptr<Loop>> links;
  for (const SolverMethod& method : methods) {
    options.method = method;
    links.push_back(std::make_unique<Loop>(spec, ops, options));
  }
  return FallbackSolver(spec, ops, std::move(links));
}

/// z = 1 - z has its fixed point at 1/2; Picard swaps between two points for ever.
Vector swapping(const Vector& z) {
  Vector y = z;
  for (double& value : y) value = 1.0 - value;
  return y;
}

}  // namespace

TEST_CASE("one bad sample leaves the others of its batch as they are alone, to the bit") {
  for (const SolverMethod& method : kAllMethods)
    for (const auto& [drill, spoil] : kDrills) {
      CAPTURE(name_of(method));
      CAPTURE(drill);
      const SolverOptions options{.method = method, .max_steps = 40, .tolerance = {.value = 1e-6}};
      Batch together(0, 3, 1, spoil);
      BoundLoop solver(spec_of(3), options);
      const State z(spec_of(3)), x = random_state(spec_of(3), 6), out(spec_of(3));
      solver.loop.solve(together.map, z.view(), solver.report);
      solver.loop.estimate().apply_transpose(x.view(), out.view());
      for (const double value : z.sample(1)) CHECK(std::isfinite(value));
      for (const int b : {0, 2}) {
        CHECK(solver.report.status[b] == SolveStatus::converged);
        Batch alone(b, 1, 1, spoil);
        BoundLoop own(spec_of(1), options);
        const State own_z(spec_of(1)), own_out(spec_of(1));
        State own_x(spec_of(1));
        own_x.set(0, x.sample(b));
        own.loop.solve(alone.map, own_z.view(), own.report);
        own.loop.estimate().apply_transpose(own_x.view(), own_out.view());
        CHECK(own_z.sample(0) == z.sample(b));
        CHECK(own_out.sample(0) == out.sample(b));
      }
    }
}

TEST_CASE("the status of a bad sample says what happened") {
  const auto status = [](const SolverMethod& method, const Batch::Spoil& spoil) {
    Batch batch(0, 1, 0, spoil);
    BoundLoop solver(spec_of(1), {.method = method, .max_steps = 60, .tolerance = {.value = 1e-6}});
    const State z(spec_of(1));
    solver.loop.solve(batch.map, z.view(), solver.report);
    return solver.report.status[0];
  };
  for (const SolverMethod& method : kAllMethods) {
    CAPTURE(name_of(method));
    CHECK(status(method, kDrills[0].second) == SolveStatus::nonfinite);
    CHECK(status(method, kDrills[1].second) == SolveStatus::nonfinite);
    CHECK(status(method, kDrills[3].second) == SolveStatus::converged);
    const SolveStatus astray = status(method, kDrills[2].second);  // z + e has no fixed point
    CHECK(astray != SolveStatus::converged);
  }
  CHECK(status(Picard{}, kDrills[4].second) == SolveStatus::diverged);
}

TEST_CASE("samples that broke down go on with the next solver and the report says why") {
  const StateSpec spec = spec_of(3);
  HostStateOps ops;
  const TanhModel model(kSize, 0.8, 4);
  SampleMap map(spec, [&](int b, const Vector& z) { return b == 1 ? swapping(z) : model.f(z); });
  FallbackSolver solver = chain_of(spec, ops, {Picard{}, Broyden{}}, {.max_steps = 60, .tolerance = {1e-8}});
  const AlignedBytes workspace = allocate_aligned(solver.workspace_bytes() + 64);
  const AlignedBytes estimate = allocate_aligned(solver.estimate_bytes() + 64);
  solver.bind(workspace.get(), estimate.get());
  const State z(spec);
  SolveReport report;
  solver.solve(map, z.view(), report);
  CHECK(report.count(SolveStatus::converged) == 3);
  CHECK(report.method == "picard > broyden");
  CHECK(report.solver == std::vector<std::uint8_t>{0, 1, 0});
  CHECK(report.cause[1] == SolveStatus::stalled);
  CHECK(fallback_reason(report) == "1 sample changed solver (picard > broyden): 1 stalled");
  for (const double value : z.sample(1)) CHECK(value == doctest::Approx(0.5));
  CHECK(report.steps[1] > 20);
  CHECK(report.initial_residual[1] > 0.5);

  // The estimate is each sample's own: I where Picard ended it, Broyden's (exact here: M = 1/2) in the other.
  const State x = random_state(spec, 2), out(spec);
  solver.estimate().apply(x.view(), out.view());
  CHECK(out.sample(0) == x.sample(0));
  CHECK(solver.estimate().rank()[0] == 0);
  CHECK(solver.estimate().rank()[1] > 0);
  CHECK(out.sample(1) != x.sample(1));

  // And a solve without breakdowns is the first solver's alone.
  SampleMap tame(spec, [&](int, const Vector& at) { return model.f(at); });
  solver.solve(tame, z.view(), report);
  CHECK(report.method == "picard");
  CHECK(fallback_reason(report).empty());
}

TEST_CASE("samples of earlier solvers in a chain keep their results and estimates to the bit") {
  const StateSpec spec = spec_of(3);
  HostStateOps ops;
  const TanhModel model(kSize, 0.8, 4);
  const auto f = [&](int b, const Vector& z) {
    Vector y = model.f(z);
    for (double& value : y) value += 0.1 * b;
    if (b == 1 && norm(z) > 0.0) y[0] = kNan;
    return y;
  };
  const SolverOptions options{.max_steps = 40, .tolerance = {1e-8}};
  for (const std::vector<SolverMethod>& methods :
       {std::vector<SolverMethod>{Anderson{}, Broyden{}, Picard{.damping = 0.5}},
        std::vector<SolverMethod>{Broyden{.memory = 3}, Anderson{}, Picard{.damping = 0.5}}}) {
    SolverOptions first = options;
    first.method = methods.front();
    SampleMap alone_map(spec, f), map(spec, f);
    BoundLoop alone(spec, first);
    const State alone_z(spec), z(spec);
    alone.loop.solve(alone_map, alone_z.view(), alone.report);
    FallbackSolver solver = chain_of(spec, ops, methods, options);
    const AlignedBytes workspace = allocate_aligned(solver.workspace_bytes() + 64);
    const AlignedBytes estimate = allocate_aligned(solver.estimate_bytes() + 64);
    solver.bind(workspace.get(), estimate.get());
    SolveReport report;
    solver.solve(map, z.view(), report);
    CHECK(report.solver == std::vector<std::uint8_t>{0, 2, 0});
    CHECK(report.status[1] == SolveStatus::nonfinite);
    const State x = random_state(spec, 2), out(spec), alone_out(spec);
    solver.estimate().apply_transpose(x.view(), out.view());
    alone.loop.estimate().apply_transpose(x.view(), alone_out.view());
    for (const int b : {0, 2}) {
      CHECK(z.sample(b) == alone_z.sample(b));
      CHECK(out.sample(b) == alone_out.sample(b));
    }
  }
}

}  // namespace deq::test
