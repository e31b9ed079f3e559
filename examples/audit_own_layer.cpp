// How good is each gradient on a layer of your own? Compares estimators with the exact implicit gradient, and that one
// with differences of the loss.
#include <cstdio>
#include <memory>
#include <random>

#include "core/builder.h"
#include "core/cpu/backend.h"
#include "layers/difference_check.h"
#include "layers/gradient_audit.h"
#include "layers/linear.h"
#include "solvers/names.h"
#include "solvers/policy.h"

namespace {

using namespace deq;

constexpr int kBatch = 16;
constexpr int kWidth = 24;

struct Cell {
  explicit Cell(const ParamScope& scope) : inner(scope / "inner", kWidth, kWidth) {}
  Value operator()(Value z, Value x) const { return deq::tanh(inner(z) * 1.2 + x); }
  layers::Linear inner;
};

/// Solves as tightly as floats allow, so that what is compared are the estimators alone.
AuditedEstimator estimator(const std::string& name) {
  return {name, policy_from_name(name, {.max_steps = 60, .tolerance = {.value = 1e-6}})};
}

}  // namespace

int main() {
  ParameterStore store(/*seed=*/1);
  const ParamScope scope(store);
  const layers::Linear head(scope / "head", kWidth, 1);
  const Cell cell(scope / "cell");

  // All that an audit needs: the parameters, and how the loss is traced under a given policy.
  const AuditedModel model{&store, [&](Graph& graph, const AuditPolicy& policy) {
                             const Value x = graph.input("x", {DType::f32, {kBatch, kWidth}}, Rate::batch);
                             return AuditedLoss{mean(square(head(equilibrium(cell, x, {.policy = policy})) - 1.0))};
                           }};
  Tensor x(DType::f32, {kBatch, kWidth});
  std::mt19937 rng(2);
  std::normal_distribution<float> normal;
  for (float& value : x.data<float>()) value = normal(rng);

  CpuBackend backend;
  const AuditedEstimator exact = estimator("exact");
  const std::vector<AuditedEstimator> others{
      estimator("jfb"),       estimator("shine"),     estimator("shine-refine-3"),
      estimator("limited-3"), estimator("neumann-3"), estimator("phantom-5")};
  const AuditResult result = audit(model, exact, others, {{{"x", x}}}, backend);
  std::printf("estimator       error    cosine   products\n");
  for (const EstimatorAudit& row : result.estimators)
    std::printf("%-14s  %.2e  %.5f  %.0f\n", row.name.c_str(), row.relative_error, row.cosine, row.vjp_calls);
  const DifferenceCheck check = check_by_differences(model, exact.policy, {{"x", x}}, backend);
  std::printf("exact against differences of the loss: %.1e\n", check.relative_difference);
  return check.relative_difference < 1e-2 ? 0 : 1;
}
