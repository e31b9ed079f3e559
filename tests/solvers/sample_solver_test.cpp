#include "solvers/sample_solver.h"

#include <doctest/doctest.h>

#include <atomic>
#include <cstring>
#include <limits>

#include "core/stopped.h"
#include "solvers/fallback.h"
#include "solvers/policy.h"
#include "tests/solvers/toy_maps.h"

// Samples solved one by one: what the batch gives, to the bit, with no evaluation of a sample that has stopped.

namespace deq::test {
namespace {

const StateSpec kSpec{.batch = 7, .block_elems = {600, 7}, .dtype = DType::f32};

/// f(z) = tanh(W z + b) + drift of the sample, whose third value is nan for one sample. Evaluates samples one by one
/// for `threads` threads, or the batch where there are none.
class TakenApart final : public FixedPointMap {
 public:
  TakenApart(int threads, int bad_sample)
      : in(kSpec), out(kSpec), calls(kSpec.batch, 0), threads_(threads), bad_sample_(bad_sample) {}
  [[nodiscard]] const StateSpec& spec() const override { return kSpec; }
  StateView input() override { return in.view(); }
  StateView output() override { return out.view(); }
  void replay() override {
    for (int b = 0; b < kSpec.batch; ++b) evaluate(b);
  }
  [[nodiscard]] int sample_threads() const override { return threads_; }
  void replay_sample(int sample) override {
    obey(stop);
    ++alone;
    evaluate(sample);
  }

  State in, out;
  std::vector<int> calls;      ///< [batch]
  std::atomic<int> alone = 0;  ///< evaluations of single samples
  const std::atomic<bool>* stop = nullptr;

 private:
  void evaluate(int sample) {
    Vector y = model_.f(in.sample(sample));
    for (double& value : y) value += 0.2 * sample;
    if (++calls[sample] == 3 && sample == bad_sample_) y[0] = std::numeric_limits<double>::quiet_NaN();
    out.set(sample, y);
  }

  TanhModel model_{607, 0.9, 5};
  int threads_;
  int bad_sample_;
};

struct Case {
  SolverOptions options;
  EstimateUse use = EstimateUse::kept;
  int bad_sample = -1;
  bool falls_back = false;  ///< on Picard iteration
};

std::unique_ptr<FixedPointSolver> make_solver(const StateSpec& spec, StateOps& ops, const Case& of) {
  std::vector<std::unique_ptr<Loop>> links;
  links.push_back(std::make_unique<Loop>(spec, ops, of.options, of.use));
  if (!of.falls_back) return std::move(links.front());
  SolverOptions next = of.options;
  next.method = Picard{};
  links.push_back(std::make_unique<Loop>(spec, ops, next, of.use));
  return std::make_unique<FallbackSolver>(spec, ops, std::move(links));
}

struct Solved {
  /// One by one on `threads` threads; 0: together.
  Solved(const Case& of, int threads)
      : map(threads, of.bad_sample),
        solver(kSpec, [&](const StateSpec& spec) { return make_solver(spec, ops, of); }),
        z(kSpec),
        forward(kSpec),
        transposed(kSpec) {
    workspace = allocate_aligned(solver.workspace_bytes() + 64);
    estimate = allocate_aligned(solver.estimate_bytes() + 64);
    solver.bind(workspace.get(), estimate.get());
    solver.solve(map, z.view(), report);
    const State x = random_state(kSpec, 3);
    solver.estimate().apply(x.view(), forward.view());
    solver.estimate().apply_transpose(x.view(), transposed.view());
  }
  HostStateOps ops;
  TakenApart map;
  SampleSolver solver;
  AlignedBytes workspace, estimate;
  SolveReport report;
  State z, forward, transposed;
};

bool same_bits(const State& a, const State& b) {
  return std::memcmp(a.memory.get(), b.memory.get(), kSpec.bytes()) == 0;
}

void expect_same(const Solved& one, const Solved& other) {
  CHECK(same_bits(one.z, other.z));
  CHECK(same_bits(one.forward, other.forward));
  CHECK(same_bits(one.transposed, other.transposed));
  CHECK(one.report.status == other.report.status);
  CHECK(one.report.steps == other.report.steps);
  CHECK(one.report.best_step == other.report.best_step);
  CHECK(one.report.residual == other.report.residual);
  CHECK(one.report.initial_residual == other.report.initial_residual);
  CHECK(one.report.solver == other.report.solver);
  CHECK(one.report.cause == other.report.cause);
  CHECK(one.report.breakdowns == other.report.breakdowns);
  CHECK(one.report.restarts == other.report.restarts);
  CHECK(one.report.method == other.report.method);
  const auto ranks = [](const Solved& solved) {
    const std::span<const int> rank = solved.solver.estimate().rank();
    return std::vector<int>(rank.begin(), rank.end());
  };
  CHECK(ranks(one) == ranks(other));
}

}  // namespace

TEST_CASE("samples solved one by one give what the batch gives") {
  const SolverMethod methods[] = {Picard{},
                                  Anderson{},
                                  Broyden{},
                                  Broyden{.memory = 4, .limit = MemoryLimit::restart},
                                  Broyden{.memory = 4, .limit = MemoryLimit::reduce},
                                  Broyden{.history = StepHistory::bf16},
                                  Broyden{.form = BroydenForm::low_rank},
                                  Broyden{.form = BroydenForm::low_rank, .memory = 4, .limit = MemoryLimit::restart}};
  for (const SolverMethod& method : methods)
    for (const double tolerance : {0.0, 1e-4})
      for (const EstimateUse use : {EstimateUse::kept, EstimateUse::dropped}) {
        CAPTURE(name_of(method));
        CAPTURE(tolerance);
        const Case of{.options = {.method = method, .max_steps = 12, .tolerance = {tolerance}}, .use = use};
        const Solved apart(of, 2), together(of, 0);
        expect_same(apart, together);
        CHECK(apart.report.map_calls == together.report.map_calls);
        CHECK(apart.report.steps_run == together.report.steps_run);
      }
}

TEST_CASE("a sample that turns nan leaves the others alone") {
  const Case of{.options = {.method = Broyden{}, .max_steps = 12, .tolerance = {1e-4}}, .bad_sample = 4};
  const Solved apart(of, 2), together(of, 0);
  CHECK(apart.report.status[4] == SolveStatus::nonfinite);
  expect_same(apart, together);
}

TEST_CASE("a sample that breaks down goes on with the next solver of the chain") {
  const Case of{
      .options = {.method = Broyden{}, .max_steps = 60, .tolerance = {1e-4}}, .bad_sample = 4, .falls_back = true};
  const Solved apart(of, 2), together(of, 0);
  CHECK(apart.report.solver[4] == 1);
  CHECK(apart.report.status[4] == SolveStatus::converged);
  CHECK(apart.report.method == "broyden > picard");
  expect_same(apart, together);
}

TEST_CASE("a sample that has stopped is not evaluated again") {
  const Solved apart({.options = {.method = Broyden{}, .max_steps = 30, .tolerance = {1e-4}}}, 2);
  std::int64_t evaluations = 0;
  for (int b = 0; b < kSpec.batch; ++b) {
    CHECK(apart.map.calls[b] == apart.report.steps[b] + 1);
    evaluations += apart.map.calls[b];
  }
  CHECK(apart.report.sample_evaluations == evaluations);
}

TEST_CASE("a limit of steps holds for every sample") {
  Solved limited({.options = {.method = Broyden{}, .max_steps = 12, .tolerance = {0.0}}}, 2);
  limited.solver.limit_steps(3);
  limited.solver.solve(limited.map, limited.z.view(), limited.report);
  CHECK(limited.report.steps == std::vector<int>(kSpec.batch, 3));
}

TEST_CASE("what a map throws ends the solve of all samples, and the next solve is whole") {
  const Case of{.options = {.method = Broyden{}, .max_steps = 12, .tolerance = {0.0}}};
  Solved stopped(of, 3);
  const int evaluations = stopped.map.alone;
  std::atomic<bool> stop = true;
  stopped.map.stop = &stop;
  CHECK_THROWS_AS(stopped.solver.solve(stopped.map, stopped.z.view(), stopped.report), Stopped);
  CHECK(stopped.map.alone == evaluations);
  stop = false;
  stopped.solver.solve(stopped.map, stopped.z.view(), stopped.report);
  CHECK(stopped.map.alone == 2 * evaluations);
}

TEST_CASE("the samples' solvers are made when memory is bound, not while it is planned") {
  HostStateOps ops;
  int made = 0;
  SampleSolver solver(kSpec, [&](const StateSpec& spec) {
    ++made;
    return std::make_unique<Loop>(spec, ops, SolverOptions{.max_steps = 12, .tolerance = {0.0}});
  });
  solver.limit_steps(3);
  CHECK(solver.workspace_bytes() > 0);
  CHECK(made == 1);
  const AlignedBytes workspace = allocate_aligned(solver.workspace_bytes() + 64);
  const AlignedBytes estimate = allocate_aligned(solver.estimate_bytes() + 64);
  solver.bind(workspace.get(), estimate.get());
  CHECK(made == 1 + kSpec.batch);
  solver.bind(workspace.get(), estimate.get());
  CHECK(made == 1 + kSpec.batch);
  TakenApart map(2, -1);
  State z(kSpec);
  SolveReport report;
  solver.solve(map, z.view(), report);
  CHECK(report.steps == std::vector<int>(kSpec.batch, 3));  // the limit from before
}

TEST_CASE("the solution of a sample does not depend on how many threads share the batch") {
  const Case of{.options = {.method = Broyden{}, .max_steps = 12, .tolerance = {1e-4}}};
  expect_same(Solved(of, 1), Solved(of, 3));
}

TEST_CASE("a policy takes samples apart where a sample's solve stands alone") {
  HostStateOps ops;
  const auto takes_apart = [&](const ImplicitPolicy& policy) {
    TakenApart map(2, -1);
    const auto solver = policy.make_solver(kSpec, ops);
    const AlignedBytes workspace = allocate_aligned(solver->workspace_bytes() + 64);
    const AlignedBytes estimate = allocate_aligned(solver->estimate_bytes() + 64);
    solver->bind(workspace.get(), estimate.get());
    State z(kSpec);
    SolveReport report;
    solver->solve(map, z.view(), report);
    return map.alone > 0;
  };
  SolverOptions options{.method = Broyden{}, .max_steps = 3};
  CHECK(takes_apart(ImplicitPolicy(options)));
  CHECK(takes_apart(ImplicitPolicy(options).fall_back_on({Anderson{}})));
  CHECK_FALSE(takes_apart(ImplicitPolicy(options).use_method(
      "own", [](const StateSpec& spec, StateOps& of) { return make_method(spec, of, {.method = Picard{}}); })));
  options.time_budget_ms = 1e6;
  CHECK_FALSE(takes_apart(ImplicitPolicy(options)));
}

}  // namespace deq::test
