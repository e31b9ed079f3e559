#include <doctest/doctest.h>

#include <algorithm>

#include "autodiff/vjp.h"
#include "core/builder.h"
#include "core/cpu/backend.h"
#include "core/program.h"
#include "core/reference/backend.h"
#include "evaluate.h"
#include "layers/equilibrium.h"
#include "solvers/policy.h"

// A run that is asked to stop in a solve ends there and has changed nothing.

using namespace deq;
using namespace deq::layers_tests;

namespace {

constexpr int kBatch = 3, kWidth = 12;

/// Rings before an evaluation of f, or a product of the backward, of the next run: a signal at that instant.
struct Alarm {
  std::atomic<bool> stop = false;
  int forward = 0, backward = 0;  ///< how many are left until it rings; 0: never

  void count(int& left) {
    if (left > 0 && --left == 0) stop = true;
  }
};

class AlarmedMap final : public FixedPointMap {
 public:
  AlarmedMap(FixedPointMap& of, Alarm& alarm, int& left) : of_(&of), alarm_(&alarm), left_(&left) {}
  [[nodiscard]] const StateSpec& spec() const override { return of_->spec(); }
  StateView input() override { return of_->input(); }
  StateView output() override { return of_->output(); }
  void replay() override {
    alarm_->count(*left_);
    of_->replay();
  }

 private:
  FixedPointMap* of_;
  Alarm* alarm_;
  int* left_;
};

class AlarmedSolver final : public FixedPointSolver {
 public:
  AlarmedSolver(std::unique_ptr<FixedPointSolver> of, Alarm& alarm) : of_(std::move(of)), alarm_(&alarm) {}
  [[nodiscard]] std::size_t workspace_bytes() const override { return of_->workspace_bytes(); }
  [[nodiscard]] std::size_t estimate_bytes() const override { return of_->estimate_bytes(); }
  void bind(void* workspace, void* estimate) override { of_->bind(workspace, estimate); }
  void solve(FixedPointMap& map, StateView z, SolveReport& report) override {
    AlarmedMap alarmed(map, *alarm_, alarm_->forward);
    of_->solve(alarmed, z, report);
  }
  [[nodiscard]] const InverseEstimate& estimate() const override { return of_->estimate(); }

 private:
  std::unique_ptr<FixedPointSolver> of_;
  Alarm* alarm_;
};

class AlarmedAdjoint final : public AdjointSolver {
 public:
  AlarmedAdjoint(std::unique_ptr<AdjointSolver> of, Alarm& alarm) : of_(std::move(of)), alarm_(&alarm) {}
  [[nodiscard]] std::size_t workspace_bytes() const override { return of_->workspace_bytes(); }
  void bind(void* workspace) override { of_->bind(workspace); }
  void solve(FixedPointMap& vjp, const InverseEstimate& inverse, const SolveReport& forward, StateView w, StateView u,
             SolveReport& report) override {
    AlarmedMap alarmed(vjp, *alarm_, alarm_->backward);
    of_->solve(alarmed, inverse, forward, w, u, report);
  }

 private:
  std::unique_ptr<AdjointSolver> of_;
  Alarm* alarm_;
};

class AlarmedPolicy final : public EquilibriumPolicy {
 public:
  AlarmedPolicy(ImplicitPolicy of, Alarm& alarm) : of_(std::move(of)), alarm_(&alarm) {}
  [[nodiscard]] std::unique_ptr<FixedPointSolver> make_solver(const StateSpec& spec, StateOps& ops) const override {
    return std::make_unique<AlarmedSolver>(of_.make_solver(spec, ops), *alarm_);
  }
  [[nodiscard]] std::unique_ptr<AdjointSolver> make_adjoint(const StateSpec& spec, StateOps& ops) const override {
    return std::make_unique<AlarmedAdjoint>(of_.make_adjoint(spec, ops), *alarm_);
  }
  [[nodiscard]] bool needs_vjp() const override { return of_.needs_vjp(); }
  [[nodiscard]] std::string describe() const override { return of_.describe(); }

 private:
  ImplicitPolicy of_;
  Alarm* alarm_;
};

/// A layer z = tanh(0.7 p z + x) trained by SGD with momentum, beside a running sum that is assigned. After the update
/// it can be solved once more, with the new parameter.
struct Trained {
  Trained(Backend& backend, const AdjointOptions& adjoint, bool solves_again = false) {
    const SolverOptions solver{.max_steps = 10, .tolerance = {.value = 0}};
    const EquilibriumOptions options{.policy =
                                         std::make_shared<const AlarmedPolicy>(ImplicitPolicy(solver, adjoint), alarm)};
    for (const double phase : {0.1, 0.2, 0.3}) tensors.push_back(std::make_shared<Tensor>(wave({kWidth}, phase)));
    const Value p = graph.parameter("p", tensors[0]), m = graph.parameter("momentum", tensors[1]),
                sum = graph.parameter("sum", tensors[2]);
    const Value x = graph.input("x", {DType::f32, {kBatch, kWidth}}, Rate::batch);
    const auto cell_of = [](Value by) {
      return [by](Value state, Value in) { return deq::tanh(state * by * 0.7 + in); };
    };
    z = equilibrium(cell_of(p), x, options);
    const Value gradient = gradients(mean(square(z)), std::vector<Value>{p})[0];
    const std::vector<Value> operands{p, gradient, m, constant(graph, 0.1, {})};
    const std::vector<Value> updated = graph.add(SgdUpdate{.momentum = 0.5}, operands);
    graph.assign(p, updated[0]);
    graph.assign(m, updated[1]);
    graph.assign(sum, sum + deq::sum(z, {0}));
    std::vector<Value> outputs{z};
    if (solves_again) outputs.push_back(equilibrium(cell_of(updated[0]), x, options));
    program = std::make_unique<Program>(Program::compile(graph, outputs, backend, {.stop = &alarm.stop}));
    program->bind("x", wave({kBatch, kWidth}));
  }
  [[nodiscard]] std::vector<float> values() const {
    program->fetch_parameters();
    std::vector<float> out;
    for (const auto& tensor : tensors) std::ranges::copy(tensor->data<float>(), std::back_inserter(out));
    return out;
  }

  Alarm alarm;
  Graph graph{Mode::training};
  std::vector<std::shared_ptr<Tensor>> tensors;  ///< parameter, momentum, running sum
  Value z;
  std::unique_ptr<Program> program;
};

void check_stopped(Backend& backend, const AdjointOptions& adjoint, int forward, int backward) {
  CAPTURE(forward);
  CAPTURE(backward);
  Trained whole(backend, adjoint), stopped(backend, adjoint);
  whole.program->run();
  stopped.program->run();
  const std::vector<float> before = stopped.values();
  CHECK(before == whole.values());
  stopped.alarm.forward = forward;
  stopped.alarm.backward = backward;
  CHECK_THROWS_AS(stopped.program->run(), Stopped);
  CHECK(stopped.alarm.forward == 0);
  CHECK(stopped.alarm.backward == 0);
  CHECK(stopped.values() == before);
  CHECK_THROWS_AS((void)stopped.program->read(stopped.z), Error);
  CHECK_THROWS_AS(stopped.program->run(), Stopped);  // as long as it is asked to
  stopped.alarm.stop = false;
  stopped.program->run();
  whole.program->run();
  CHECK(stopped.values() == whole.values());
}

template <class Check>
void on_backends(Check check) {
  ReferenceBackend reference;
  CpuBackend cpu;
  for (Backend* backend : {static_cast<Backend*>(&reference), static_cast<Backend*>(&cpu)}) check(*backend);
}

}  // namespace

TEST_CASE("a run that is stopped in a solve changes nothing, and the next one takes its place to the bit") {
  on_backends([](Backend& backend) {
    const AdjointOptions broyden = FullAdjoint{.solver = {.max_steps = 6, .tolerance = {.value = 0}}};
    const AdjointOptions gmres = KrylovAdjoint{.max_steps = 6};
    for (const AdjointOptions& adjoint : {broyden, gmres, AdjointOptions(NeumannSeries{.terms = 5})}) {
      check_stopped(backend, adjoint, 1, 0);
      check_stopped(backend, adjoint, 5, 0);
      check_stopped(backend, adjoint, 0, 1);
      check_stopped(backend, adjoint, 0, 4);
    }
  });
}

TEST_CASE("a solve after an update is not stopped: the parameters are no longer what they were") {
  on_backends([](Backend& backend) {
    Trained whole(backend, JacobianFree{}, true), stopped(backend, JacobianFree{}, true);
    whole.program->run();
    stopped.alarm.forward = 11 + 5;  // the first solve evaluates f at 11 iterates
    CHECK_NOTHROW(stopped.program->run());
    CHECK(stopped.alarm.stop);
    CHECK(stopped.values() == whole.values());
  });
}

TEST_CASE("inference that takes samples apart stops too") {
  CpuBackend backend;
  std::atomic<bool> stop = true;
  Graph graph;
  const Value x = graph.input("x", {DType::f32, {kBatch, kWidth}}, Rate::batch);
  const auto cell = [](Value z, Value in) { return deq::tanh(z * 0.7 + in); };
  const auto policy = std::make_shared<const ImplicitPolicy>(SolverOptions{}, JacobianFree{}, Compaction::on);
  const Value z = equilibrium(cell, x, {.policy = policy});
  Program program = Program::compile(graph, {z}, backend, {.stop = &stop});
  program.bind(x, wave({kBatch, kWidth}));
  CHECK_THROWS_WITH_AS(program.run(), "program: stopped in a solve, as asked", Stopped);
  CHECK_THROWS_AS((void)program.profile(), Stopped);
  stop = false;
  program.run();
  CHECK(program.forward_report()->count(SolveStatus::converged) == kBatch);
}
