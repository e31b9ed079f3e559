#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/backend.h"
#include "core/program.h"
#include "layers/equilibrium.h"
#include "layers/parameter.h"

// How good is each gradient, on a model of one's own? No checkpoint, no configuration:
//
//   const AuditedModel model{&store, [&](Graph& graph, const auto& policy) {
//     const Value x = graph.input("x", {DType::f32, {8, 16}}, Rate::batch);
//     return AuditedLoss{mean(square(head(equilibrium(cell, x, {.policy = policy}))))};
//   }};
//   const AuditedEstimator exact{"exact", std::make_shared<ImplicitPolicy>(tight, FullAdjoint{})};
//   const std::vector<AuditedEstimator> others{{"jfb", std::make_shared<ImplicitPolicy>(solver, JacobianFree{})}};
//   const AuditResult result = audit(model, exact, others, {{{"x", batch}}}, backend);

namespace deq {

using AuditPolicy = std::shared_ptr<const EquilibriumPolicy>;

/// A training loss as a model traces it.
struct AuditedLoss {
  Value loss;  ///< f32 scalar
  /// The traces of its equilibria. Only phantom-K and unrolled-K need them: without, their adjoint errors are not
  /// numbers and their further applications of f are not counted.
  std::vector<EquilibriumTrace> equilibria = {};
};

/// A model to audit.
struct AuditedModel {
  const ParameterStore* parameters = nullptr;
  /// Traces the loss on a training graph; every equilibrium must use the policy given.
  std::function<AuditedLoss(Graph&, const AuditPolicy&)> loss;
  /// Ends the audit in the middle of a solve, with Stopped; see ProgramOptions::stop.
  const std::atomic<bool>* stop = nullptr;
};

struct AuditedEstimator {
  std::string name;
  AuditPolicy policy;
};

/// The tensors of one batch by the names of the graph's inputs. Every batch has the same types.
using AuditInputs = std::map<std::string, Tensor>;

/// One gradient estimator against the exact gradient; means over the batches.
struct EstimatorAudit {
  std::string name;
  double relative_error = 0;  ///< |g - g_exact| / |g_exact|, all parameters as one vector
  double cosine = 0;
  double norm_ratio = 0;              ///< |g| / |g_exact|
  double adjoint_relative_error = 0;  ///< as above for u = (I - J^T)^-1 w
  double adjoint_cosine = 0;
  double map_calls = 0;         ///< evaluations of f: in the forward solve, and beyond one after it
  double vjp_calls = 0;         ///< products with J or J^T: of the backward, and those the forward solver asked for
  double milliseconds = 0;      ///< everything after the loss; median over the batches
  std::size_t extra_bytes = 0;  ///< arena beyond that of the Jacobian-free estimator
  double fallback_fraction = 0;
  double loss = 0;
  std::map<std::string, Tensor> gradients;  ///< f32, by parameter name
};

struct AuditResult {
  double forward_residual = 0;  ///< largest over the samples, in the norm of the tolerance
  double exact_residual = 0;    ///< of the adjoint solve, relative, largest over the samples; nan where one failed
  int exact_calls = 0;          ///< products with J^T, of the slowest batch
  std::vector<EstimatorAudit> estimators;
};

struct AuditOptions {
  /// Solves the adjoints of batches again that the exact estimator leaves unsolved; whichever comes closer is taken as
  /// exact. Default: none.
  AuditPolicy second_exact = nullptr;
  /// The program whose arena `extra_bytes` is measured against; default: the smallest of those audited.
  AuditPolicy baseline = nullptr;
  /// Called before every program run with runs done and runs in all; returns false to stop early.
  std::function<bool(std::int64_t done, std::int64_t total)> progress = {};
};

/// Compares the gradients of `estimators` with those of `exact`, which may be among them (by name). Parameters and
/// running statistics are what they were when it returns.
/// Errors: no batch, a loss that is no scalar or holds no equilibrium, inputs that do not fit.
AuditResult audit(const AuditedModel& model, const AuditedEstimator& exact,
                  const std::vector<AuditedEstimator>& estimators, const std::vector<AuditInputs>& batches,
                  Backend& backend, const AuditOptions& options = {});

}  // namespace deq
