// A forward solver of your own in one small class: heavy-ball iteration z <- z + step r + momentum (z - z_before). The
// loop around it counts, stops samples one by one, keeps the best iterate and writes the report.
#include <cmath>
#include <cstdio>
#include <memory>
#include <random>
#include <vector>

#include "core/builder.h"
#include "core/cpu/backend.h"
#include "core/program.h"
#include "layers/equilibrium.h"
#include "solvers/identity_estimate.h"
#include "solvers/method.h"
#include "solvers/policy.h"

namespace {

using namespace deq;

class HeavyBall final : public Method {
 public:
  HeavyBall(const StateSpec& spec, StateOps& ops, double step, double momentum)
      : spec_(spec),
        ops_(&ops),
        step_(static_cast<std::size_t>(spec.batch), step),
        momentum_(momentum),
        one_(step_.size(), 1.0),
        estimate_(spec, ops) {}

  void layout(Slab& workspace, Slab&) override {
    residual_ = workspace.take(spec_);
    velocity_ = workspace.take(spec_);
  }
  void start(const InverseEstimate*) override { ops_->fill(spec_, velocity_, 0.0, {}); }
  StateView residual_slot(int) override { return residual_; }
  int advance(const Iterate& at) override {
    ops_->combine(spec_, momentum_, step_, single(residual_), 1, velocity_, at.advancing);
    ops_->combine(spec_, 1.0, one_, single(velocity_), 1, at.z, at.advancing);
    return 0;
  }
  void truncate(int, int) override {}
  [[nodiscard]] const InverseEstimate& estimate() const override { return estimate_; }  // it learns nothing: M = I

 private:
  StateSpec spec_;
  StateOps* ops_;
  std::vector<double> step_;  // one coefficient a sample
  double momentum_;
  std::vector<double> one_;
  StateView residual_, velocity_;
  IdentityEstimate estimate_;
};

/// Steps that a policy needs on z = tanh(0.9 z + x).
double mean_steps(const ImplicitPolicy& policy) {
  constexpr int kBatch = 16, kWidth = 64;
  Graph graph;
  const Value x = graph.input("x", {DType::f32, {kBatch, kWidth}}, Rate::batch);
  const auto cell = [](Value z, Value injected) { return deq::tanh(z * 0.9 + injected); };
  const Value z = equilibrium(cell, x, {.policy = std::make_shared<const ImplicitPolicy>(policy)});
  CpuBackend backend;
  Program program = Program::compile(graph, std::vector<Value>{z}, backend);
  Tensor points(x.type());
  std::mt19937 rng(3);
  std::normal_distribution<float> normal(0, 0.05F);
  for (float& value : points.data<float>()) value = normal(rng);
  program.bind(x, points);
  program.run();
  const SolveReport& report = *program.forward_report();
  std::printf("%-40s %5.1f steps, %d of %d samples converged\n", policy.describe().c_str(), report.mean_steps(),
              report.count(SolveStatus::converged), kBatch);
  return report.count(SolveStatus::converged) == kBatch ? report.mean_steps() : HUGE_VAL;
}

}  // namespace

int main() {
  const SolverOptions limits{.method = Picard{}, .max_steps = 300, .tolerance = {.value = 1e-4}};
  ImplicitPolicy own(limits, JacobianFree{});
  own.use_method("heavy-ball", [](const StateSpec& spec, StateOps& ops) {
    return std::make_unique<HeavyBall>(spec, ops, /*step=*/1.5, /*momentum=*/0.5);
  });
  const double plain = mean_steps(ImplicitPolicy(limits, JacobianFree{}));
  return mean_steps(own) < plain ? 0 : 1;
}
