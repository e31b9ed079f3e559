#include "solvers/warm_start.h"

#include <doctest/doctest.h>

#include <limits>

#include "tests/solvers/toy_maps.h"

namespace deq::test {
namespace {

constexpr int kSize = 20;
const StateSpec kSpec{.batch = 3, .block_elems = {kSize}, .dtype = DType::f64};
constexpr SolverOptions kOptions{.max_steps = 60, .tolerance = {1e-8}};

/// A stream of problems: f(z) = tanh(W z + b) + drift, with one bad row in some frames.
struct Stream {
  Stream()
      : map(
            kSpec, [this](int sample, const Vector& z) { return frame(sample, z); }, false) {
    auto loop = std::make_unique<Loop>(kSpec, ops, kOptions);
    solver = std::make_unique<WarmStartSolver>(kSpec, ops, std::move(loop));
    workspace = allocate_aligned(solver->workspace_bytes() + 64);
    estimate = allocate_aligned(solver->estimate_bytes() + 64);
    solver->bind(workspace.get(), estimate.get());
  }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  [[nodiscard]] Vector frame(int sample, const Vector& z) const {
    Vector y = model.f(z);
    for (double& value : y) value += drift + 0.1 * sample;
    if (sample == bad_row) y[0] = std::numeric_limits<double>::quiet_NaN();
    return y;
  }
  /// The solution from zeros on, warm or by a solver of its own.
  State solved() {
    State z(kSpec);
    solver->solve(map, z.view(), report);
    return z;
  }
  State solved_cold() {
    State z(kSpec);
    BoundLoop cold(kSpec, kOptions);
    cold.loop.solve(map, z.view(), cold_report);
    return z;
  }

  TanhModel model{kSize, 0.8, 4};
  double drift = 0;
  int bad_row = -1;
  HostStateOps ops;
  SampleMap map;
  std::unique_ptr<WarmStartSolver> solver;
  AlignedBytes workspace, estimate;
  SolveReport report, cold_report;
};

}  // namespace

TEST_CASE("a warm start begins at z0 the first time and at the solution before from then on") {
  Stream stream;
  const State cold = stream.solved_cold();
  const State first = stream.solved();
  CHECK(stream.report.steps == stream.cold_report.steps);
  const State second = stream.solved();
  CHECK(stream.report.count(SolveStatus::converged) == 3);
  for (int b = 0; b < 3; ++b) {
    CHECK(first.sample(b) == cold.sample(b));
    CHECK(second.sample(b) == first.sample(b));
    CHECK(stream.report.steps[static_cast<std::size_t>(b)] == 0);
  }
}

TEST_CASE("a slow stream takes fewer steps to the same solutions with a warm start") {
  Stream stream;
  (void)stream.solved();
  int warm = 0, cold = 0;
  for (int frame = 1; frame <= 5; ++frame) {
    stream.drift = 1e-4 * frame;
    const State from_before = stream.solved(), from_zero = stream.solved_cold();
    warm += stream.report.map_calls;
    cold += stream.cold_report.map_calls;
    CHECK(stream.report.count(SolveStatus::converged) == 3);
    // Both lie within (1 - |J|)^-1 times the residual of 1e-8 |f| of z*.
    for (int b = 0; b < 3; ++b) CHECK(distance(from_before.sample(b), from_zero.sample(b)) < 1e-6);
  }
  CHECK(4 * warm < 3 * cold);  // 1e-4 of 1e-8: half of the digits are there already
}

TEST_CASE("a row whose solve broke down begins anew and the others do not") {
  Stream stream;
  (void)stream.solved();
  stream.bad_row = 1;
  (void)stream.solved();
  CHECK(stream.report.status[1] == SolveStatus::nonfinite);
  CHECK(stream.report.steps[0] == 0);
  stream.bad_row = -1;
  const State cold = stream.solved_cold(), warm = stream.solved();
  CHECK(stream.report.steps == std::vector<int>{0, stream.cold_report.steps[1], 0});
  CHECK(warm.sample(1) == cold.sample(1));
}

}  // namespace deq::test
