#include <doctest/doctest.h>

#include <cmath>
#include <cstring>

#include "solvers/names.h"
#include "tests/solvers/state_ops_cases.h"
#include "tests/solvers/toy_maps.h"

namespace deq::test {
namespace {

constexpr int kSteps = 12;

/// f(z) = tanh(W z + b), or v -> J^T v at a fixed z, in the memory of the implementation under test.
class WaitingMap final : public FixedPointMap {
 public:
  using Function = std::function<Vector(int sample, const Vector& z)>;
  WaitingMap(const OpsUnderTest& tested, const StateSpec& spec, Function function)
      : tested_(&tested),
        on_host_(spec, std::move(function), false),
        in_(tested.allocate(spec.bytes())),
        out_(tested.allocate(spec.bytes())) {}
  [[nodiscard]] const StateSpec& spec() const override { return on_host_.spec(); }
  StateView input() override { return {in_.get()}; }
  StateView output() override { return {out_.get()}; }
  void replay() override {
    tested_->finish();
    std::memcpy(on_host_.in.view().data, in_.get(), spec().bytes());
    on_host_.replay();
    std::memcpy(out_.get(), on_host_.out.view().data, spec().bytes());
  }

 private:
  const OpsUnderTest* tested_;
  SampleMap on_host_;
  std::shared_ptr<void> in_, out_;
};

/// A solve of three samples with its backward.
struct Run {
  Run(const OpsUnderTest& tested, const SolverMethod& method, const AdjointOptions& adjoint, DType dtype)
      : spec{.batch = 3, .block_elems = {30, 9}, .dtype = dtype}, model(39, 0.6, 3) {
    const auto shifted = [this](int sample, const Vector& at) {
      Vector y = model.f(at);
      for (double& value : y) value += 0.05 * sample;
      return y;
    };
    WaitingMap f(tested, spec, shifted);
    WaitingMap vjp(tested, spec, [this](int, const Vector& v) { return model.vjp(Vector(v.size(), 0.1), v); });
    Loop loop(spec, tested.ops, {.method = method, .max_steps = kSteps, .tolerance = {1e-4}});
    Adjoint backward(spec, tested.ops, adjoint);
    const std::shared_ptr<void> workspace = tested.allocate(loop.workspace_bytes() + 64);
    const std::shared_ptr<void> estimate = tested.allocate(loop.estimate_bytes() + 64);
    const std::shared_ptr<void> scratch = tested.allocate(backward.workspace_bytes() + 64);
    const std::shared_ptr<void> z = tested.allocate(spec.bytes()), u = tested.allocate(spec.bytes()),
                                w = tested.allocate(spec.bytes());
    loop.bind(workspace.get(), estimate.get());
    backward.bind(scratch.get());
    std::memset(z.get(), 0, spec.bytes());
    std::memcpy(w.get(), random_state(spec, 4).view().data, spec.bytes());
    forward_report.resize(spec.batch);
    backward_report.resize(spec.batch);
    const std::int64_t waits = tested.ops.host_waits();
    loop.solve(f, {z.get()}, forward_report);
    forward_waits = tested.ops.host_waits() - waits;
    backward.solve(vjp, loop.estimate(), forward_report, {w.get()}, {u.get()}, backward_report);
    tested.finish();
    solution = copy_of(z.get());
    gradient = copy_of(u.get());
  }
  [[nodiscard]] std::vector<Vector> copy_of(const void* memory) const {
    const State state(spec);
    std::memcpy(state.view().data, memory, spec.bytes());
    std::vector<Vector> out;
    for (int b = 0; b < spec.batch; ++b) out.push_back(state.sample(b));
    return out;
  }
  StateSpec spec;
  TanhModel model;
  SolveReport forward_report, backward_report;
  std::int64_t forward_waits = 0;
  std::vector<Vector> solution, gradient;
};

void check_run(const OpsUnderTest& host, const OpsUnderTest& tested, const SolverMethod& method,
               const AdjointOptions& adjoint) {
  for (const DType dtype : {DType::f64, DType::f32}) {
    CAPTURE(name_of(method));
    CAPTURE(name_of(adjoint));
    CAPTURE(name_of(dtype));
    const Run expected(host, method, adjoint, dtype), got(tested, method, adjoint, dtype);
    CHECK(got.forward_report.steps == expected.forward_report.steps);
    CHECK(got.forward_report.best_step == expected.forward_report.best_step);
    CHECK(got.forward_report.breakdowns == expected.forward_report.breakdowns);
    CHECK(got.backward_report.map_calls == expected.backward_report.map_calls);
    // In f32 an iteration amplifies the rounding of sums in another order.
    const double tolerance = dtype == DType::f64 ? 1e-10 : 1e-3;
    for (int b = 0; b < expected.spec.batch; ++b) {
      CHECK(distance(got.solution[b], expected.solution[b]) <= tolerance * norm(expected.solution[b]));
      CHECK(distance(got.gradient[b], expected.gradient[b]) <= tolerance * norm(expected.gradient[b]));
    }
    // One wait an evaluation of f, one when the solve ends.
    const auto* const broyden = std::get_if<Broyden>(&method);
    if (broyden != nullptr && broyden->form == BroydenForm::product && broyden->memory == 0)
      CHECK(got.forward_waits <= got.forward_report.map_calls + 1);
  }
}

}  // namespace

void check_solvers(const OpsUnderTest& tested) {
  HostStateOps host_ops;
  const OpsUnderTest host{host_ops, [](std::size_t bytes) { return std::shared_ptr<void>(allocate_aligned(bytes)); },
                          [] {}};
  for (const SolverMethod& method :
       {SolverMethod(Picard{.damping = 0.8}), SolverMethod(Anderson{.memory = 4, .mixing = 0.9}),
        SolverMethod(Broyden{.memory = 3}), SolverMethod(Broyden{.form = BroydenForm::low_rank})})
    check_run(host, tested, method, SharedInverse{kShineGain});
  // Which columns Nystroem draws depends on the last bits of |w|; all 39 of them are the same in any order.
  for (const AdjointOptions& adjoint :
       {AdjointOptions(JacobianFree{}), AdjointOptions(SharedInverse{kShineGain}), AdjointOptions(Refined{}),
        AdjointOptions(FullAdjoint{}), AdjointOptions(NeumannSeries{}), AdjointOptions(KrylovAdjoint{}),
        AdjointOptions(NystromColumns{.columns = 39}), AdjointOptions(KrylovAdjoint{.method = KrylovMethod::bicgstab})})
    check_run(host, tested, Broyden{}, adjoint);
}

}  // namespace deq::test
