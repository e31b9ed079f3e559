#include "layers/gradient_audit.h"

#include <doctest/doctest.h>

#include <cmath>

#include "core/builder.h"
#include "core/cpu/backend.h"
#include "evaluate.h"
#include "layers/audit_program.h"
#include "layers/difference_check.h"
#include "layers/dropout.h"
#include "layers/linear.h"
#include "solvers/names.h"
#include "solvers/policy.h"

using namespace deq;
using namespace deq::layers_tests;

namespace {

constexpr int kBatch = 5;
constexpr int kWidth = 12;

struct Cell {
  Cell(const ParamScope& scope, double steepness) : inner(scope / "inner", kWidth, kWidth), gain(steepness) {}
  Value operator()(Value z, Value x) const { return deq::tanh(inner(z) * gain + x); }
  layers::Linear inner;
  double gain;
};

/// A small regression.
struct Toy {
  explicit Toy(double gain = 1.6)
      : store(7),
        cell(ParamScope(store) / "cell", gain),
        stem(ParamScope(store) / "stem", 4, kWidth),
        head(ParamScope(store) / "head", kWidth, 1) {}
  /// @param has_traces  hand the traces on
  [[nodiscard]] AuditedModel audited(bool has_traces = true) const {
    return {&store, [this, has_traces](Graph& graph, const AuditPolicy& policy) {
              const Value x = graph.input("x", {DType::f32, {kBatch, 4}}, Rate::batch);
              const Value injected = stem(x);
              const auto f = [&](std::span<const Value> z) { return std::vector<Value>{cell(z[0], injected)}; };
              const auto loss = [&](std::span<const Value> z) { return mean(square(head(z[0]) - 0.5)); };
              const EquilibriumTrace trace =
                  trace_equilibrium(f, {zeros_like(injected)}, {.policy = policy, .outer_loss = loss});
              AuditedLoss out{loss(trace.values)};
              if (has_traces) out.equilibria = {trace};
              return out;
            }};
  }
  [[nodiscard]] static AuditPolicy policy(const std::string& estimator) {
    return std::make_shared<ImplicitPolicy>(SolverOptions{.max_steps = 60, .tolerance = {.value = 1e-6}},
                                            adjoint_from_name(estimator));
  }

  ParameterStore store;
  Cell cell;
  layers::Linear stem, head;
};

const std::vector<AuditInputs> kBatches{{{"x", wave({kBatch, 4})}}, {{"x", wave({kBatch, 4}, 0.9)}}};

}  // namespace

TEST_CASE("an audit needs no more than a function that traces the loss") {
  const Toy toy;
  CpuBackend backend;
  std::vector<AuditedEstimator> estimators;
  for (const char* name : {"exact", "jfb", "shine", "shine-refine-5", "neumann-5", "neumann-20", "phantom-5",
                           "unrolled-1", "unrolled-20", "nystrom-12"})
    estimators.push_back({name, Toy::policy(name)});
  const AuditResult result = audit(toy.audited(), {"exact", Toy::policy("exact")}, estimators, kBatches, backend, {});
  REQUIRE(result.estimators.size() == estimators.size());
  std::map<std::string, EstimatorAudit> row;
  for (const EstimatorAudit& entry : result.estimators) row[entry.name] = entry;
  CHECK(row["exact"].relative_error == 0.0);
  CHECK(row["jfb"].relative_error > 0.01);
  CHECK(row["jfb"].vjp_calls == 0);
  CHECK(row["shine-refine-5"].relative_error < row["jfb"].relative_error);
  CHECK(row["shine-refine-5"].vjp_calls == 6);
  CHECK(row["neumann-20"].relative_error < row["neumann-5"].relative_error);
  CHECK(row["unrolled-20"].relative_error < 1e-2);
  CHECK(row["unrolled-20"].adjoint_relative_error < 1e-2);
  CHECK(row["phantom-5"].vjp_calls == 4);
  CHECK(row["phantom-5"].map_calls == row["jfb"].map_calls + 4);
  CHECK(row["nystrom-12"].relative_error < 1e-3);  // all coordinates
  // One full step is the Jacobian-free gradient, the adjoint too.
  CHECK(row["unrolled-1"].relative_error == doctest::Approx(row["jfb"].relative_error));
  CHECK(row["unrolled-1"].adjoint_relative_error == doctest::Approx(row["jfb"].adjoint_relative_error));
  for (const EstimatorAudit& entry : result.estimators) {
    CHECK(entry.milliseconds > 0.0);
    CHECK(entry.gradients.size() == toy.store.entries().size());
  }
}

TEST_CASE("where the exact estimator does not solve its adjoint, a second one is the reference") {
  const Toy toy;
  CpuBackend backend;
  const AuditedEstimator rough{"exact", Toy::policy("limited-2")};
  const std::vector<AuditedEstimator> both{rough, {"jfb", Toy::policy("jfb")}};
  const AuditResult alone = audit(toy.audited(), rough, both, kBatches, backend);
  const AuditResult helped =
      audit(toy.audited(), rough, both, kBatches, backend, {.second_exact = Toy::policy("exact")});
  const AuditResult exact = audit(toy.audited(), {"exact", Toy::policy("exact")}, both, kBatches, backend);
  CHECK(alone.exact_residual > 1e-3);
  CHECK(helped.exact_residual <= 1e-6);
  CHECK(helped.exact_calls == exact.exact_calls);
  CHECK(helped.estimators[0].relative_error == 0.0);
  CHECK(helped.estimators[0].vjp_calls > alone.estimators[0].vjp_calls);
  CHECK(helped.estimators[1].relative_error == exact.estimators[1].relative_error);
}

TEST_CASE("the exact row has the memory of the program that became the reference") {
  const Toy toy;
  CpuBackend backend;
  const SolverOptions solver{.max_steps = 60, .tolerance = {.value = 1e-6}};
  const auto gmres = std::make_shared<ImplicitPolicy>(  // 400 directions kept: more than anything else here
      solver, KrylovAdjoint{.method = KrylovMethod::gmres, .restart = 400, .max_steps = 400});
  const std::vector<AuditedEstimator> both{{"exact", Toy::policy("limited-2")}, {"jfb", Toy::policy("jfb")}};
  const auto exact_bytes = [&](const AuditedEstimator& exact, const AuditPolicy& second) {
    return audit(toy.audited(), exact, both, kBatches, backend, {.second_exact = second}).estimators[0].extra_bytes;
  };
  const std::size_t wanted = exact_bytes({"exact", gmres}, nullptr);
  CHECK(exact_bytes(both[0], nullptr) < wanted);
  CHECK(exact_bytes(both[0], gmres) == wanted);
}

TEST_CASE("the residual of an exact adjoint that failed is no number") {
  const Toy steep(6.0);
  CpuBackend backend;
  const auto exploding = std::make_shared<ImplicitPolicy>(
      SolverOptions{.max_steps = 60, .tolerance = {.value = 1e-6}},
      with_backward_method(FullAdjoint{.solver = {.max_steps = 60, .tolerance = {.value = 1e-6}}}, "picard"));
  const AuditedEstimator exact{"exact", exploding};
  CHECK(std::isnan(audit(steep.audited(), exact, {exact}, kBatches, backend).exact_residual));
  const AuditResult helped =
      audit(steep.audited(), exact, {exact}, kBatches, backend, {.second_exact = Toy::policy("exact")});
  CHECK(helped.exact_residual < 1e-4);
  CHECK(helped.estimators[0].fallback_fraction == 0);
}

TEST_CASE("an audit counts the products with the Jacobian that the forward solver asks for") {
  constexpr int kSteps = 10;
  const Toy toy;
  CpuBackend backend;
  const auto products = [&](const SolverMethod& method, const std::string& estimator) {
    const SolverOptions fixed{.method = method, .max_steps = kSteps, .tolerance = {.value = 0}};
    const AuditedEstimator audited{estimator, std::make_shared<ImplicitPolicy>(fixed, adjoint_from_name(estimator))};
    const AuditResult result = audit(toy.audited(), {"exact", Toy::policy("exact")}, {audited}, kBatches, backend);
    CHECK(result.estimators[0].map_calls == kSteps + 1);
    return result.estimators[0].vjp_calls;
  };
  CHECK(products(Broyden{}, "shine") == 0);
  // One a step, and one for every extra update, before steps 5 and 10; sharing asks for none after that.
  CHECK(products(AdjointBroyden{}, "adjoint-broyden") == kSteps);
  CHECK(products(AdjointBroyden{.outer_every = 5}, "adjoint-broyden-opa") == kSteps + 2);
  // The products of the backward come on top, six for five steps; nobody reads M then, so its last update is saved.
  CHECK(products(AdjointBroyden{}, "jfb-refine-5") == kSteps - 1 + 6);
}

TEST_CASE("without traces the adjoint errors of an unrolled estimator are unknown and its gradient is not") {
  const Toy toy;
  CpuBackend backend;
  const AuditResult result = audit(toy.audited(false), {"exact", Toy::policy("exact")},
                                   {{"unrolled-3", Toy::policy("unrolled-3")}}, kBatches, backend, {});
  CHECK(std::isnan(result.estimators[0].adjoint_relative_error));
  CHECK(std::isfinite(result.estimators[0].relative_error));
}

TEST_CASE("differences of the loss confirm the exact gradient and refute a wrong one") {
  const Toy toy;
  CpuBackend backend;
  std::vector<std::vector<float>> before;
  for (const ParameterEntry& entry : toy.store.entries()) {
    const auto values = entry.value->data<float>();
    before.emplace_back(values.begin(), values.end());
  }
  const DifferenceCheck right = check_by_differences(toy.audited(), Toy::policy("exact"), kBatches[0], backend);
  const DifferenceCheck wrong = check_by_differences(toy.audited(), Toy::policy("jfb"), kBatches[0], backend);
  CHECK(right.directions == 2);
  CHECK(right.relative_difference < 5e-3);  // f32: 1e-7 of the loss against steps that change it by 5e-4
  CHECK(wrong.relative_difference > 0.02);
  for (std::size_t i = 0; i < before.size(); ++i) {
    const auto values = toy.store.entries()[i].value->data<float>();
    CHECK(std::equal(values.begin(), values.end(), before[i].begin()));
  }
}

TEST_CASE("an audit draws by the seed that it is given") {
  ParameterStore store;
  const layers::Dropout drop(ParamScope(store), 0.5);
  const AuditedModel model{&store, [&](Graph& graph, const AuditPolicy&) {
                             return AuditedLoss{mean(drop(graph.input("x", {DType::f32, {40}}, Rate::batch)))};
                           }};
  CpuBackend cpu;
  AuditProgram program(model, Toy::policy("exact"), cpu, AuditProgram::Part::loss);
  const auto loss_of = [&](std::int64_t seed) {
    return program.run_loss({{"x", wave({40})}, {"rng_seed", Tensor::of({2}, std::vector<std::int64_t>{seed, 0})}});
  };
  const double without = program.run_loss({{"x", wave({40})}});
  CHECK(loss_of(0) == without);
  CHECK(loss_of(1) != without);
}
