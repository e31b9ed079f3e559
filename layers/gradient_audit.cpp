#include "layers/gradient_audit.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "core/error.h"
#include "core/worse.h"
#include "layers/audit_program.h"
#include "layers/audit_vector.h"

namespace deq {
namespace {

double largest(const std::vector<double>& values) { return std::accumulate(values.begin(), values.end(), 0.0, worse); }

/// Of the middle two when there is no middle one.
double median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  return (values[(values.size() - 1) / 2] + values[values.size() / 2]) / 2;
}

/// Runs every batch of every estimator, the exact one first.
class Audit {
 public:
  Audit(const AuditedModel& model, const std::vector<AuditInputs>& batches, Backend& backend,
        const AuditOptions& options)
      : model_(model), batches_(batches), backend_(backend), options_(options) {}

  AuditResult run(const AuditedEstimator& exact_estimator, const std::vector<AuditedEstimator>& estimators) {
    total_ = static_cast<std::int64_t>(batches_.size() * (1 + estimators.size()));
    AuditResult out;
    AuditProgram exact(model_, exact_estimator.policy, backend_);
    exact_bytes_ = exact.peak_bytes();
    for (const AuditInputs& batch : batches_) {
      if (!goes_on()) return out;
      exact_.push_back(exact.run(batch));
    }
    if (options_.second_exact != nullptr) solve_again();
    for (const AuditRun& run : exact_) {
      out.forward_residual = worse(out.forward_residual, largest(run.forward.residual));
      out.exact_residual = worse(out.exact_residual, largest(run.backward.residual));
      out.exact_calls = std::max(out.exact_calls, run.backward.map_calls);
    }
    for (const AuditedEstimator& estimator : estimators) {
      if (is_stopped_) break;
      out.estimators.push_back(estimator.name == exact_estimator.name ? measured_exact(estimator.name)
                                                                      : measured(estimator));
    }
    subtract_baseline(out.estimators);
    return out;
  }

 private:
  bool goes_on() {
    if (options_.progress && !is_stopped_) is_stopped_ = !options_.progress(done_++, total_);
    return !is_stopped_;
  }

  /// The reference of batches that the exact estimator leaves unsolved, by the second one where that comes closer.
  void solve_again() {
    const auto is_unsolved = [](const AuditRun& run) {
      return std::ranges::any_of(run.backward.status, [](SolveStatus s) { return s != SolveStatus::converged; });
    };
    if (std::ranges::none_of(exact_, is_unsolved)) return;
    AuditProgram second(model_, options_.second_exact, backend_);
    for (std::size_t i = 0; i < batches_.size(); ++i) {
      if (!is_unsolved(exact_[i])) continue;
      AuditRun run = second.run(batches_[i]);
      const double before = largest(exact_[i].backward.residual), after = largest(run.backward.residual);
      if (!std::isnan(before) && !(after < before)) continue;
      exact_[i] = std::move(run);
      exact_bytes_ = std::max(exact_bytes_, second.peak_bytes());
    }
  }

  void subtract_baseline(std::vector<EstimatorAudit>& audits) const {
    std::size_t baseline = std::numeric_limits<std::size_t>::max();
    if (options_.baseline)
      baseline = AuditProgram(model_, options_.baseline, backend_, AuditProgram::Part::plan).peak_bytes();
    else
      for (const EstimatorAudit& entry : audits) baseline = std::min(baseline, entry.extra_bytes);
    for (EstimatorAudit& entry : audits) entry.extra_bytes -= std::min(entry.extra_bytes, baseline);
  }

  EstimatorAudit measured_exact(const std::string& name) {
    EstimatorAudit out = begun(name, exact_bytes_);
    std::vector<double> times;
    for (const AuditRun& run : exact_) {
      add(out, run, run);
      times.push_back(run.milliseconds);
    }
    out.milliseconds = median(std::move(times));
    done_ += static_cast<std::int64_t>(batches_.size());
    return out;
  }

  EstimatorAudit measured(const AuditedEstimator& estimator) {
    AuditProgram program(model_, estimator.policy, backend_);
    EstimatorAudit out = begun(estimator.name, program.peak_bytes());
    std::vector<double> times;
    for (std::size_t i = 0; i < batches_.size() && goes_on(); ++i) {
      const AuditRun run = program.run(batches_[i]);
      add(out, run, exact_[i]);
      times.push_back(run.milliseconds);
    }
    out.milliseconds = median(std::move(times));
    return out;
  }

  /// `extra_bytes` still is the whole arena.
  EstimatorAudit begun(const std::string& name, std::size_t arena_bytes) const {
    EstimatorAudit out;
    out.name = name;
    out.extra_bytes = arena_bytes;
    for (const ParameterEntry& entry : model_.parameters->entries())
      if (entry.is_trainable) out.gradients.emplace(entry.name, Tensor(entry.value->type()));
    return out;
  }

  /// Adds a batch's share of every mean.
  void add(EstimatorAudit& out, const AuditRun& run, const AuditRun& exact) const {
    const double share = 1.0 / static_cast<double>(batches_.size());
    const VectorComparison gradient = compare(run.gradients, exact.gradients);
    VectorComparison adjoint{.relative_error = std::numeric_limits<double>::quiet_NaN(),
                             .cosine = std::numeric_limits<double>::quiet_NaN()};
    if (!run.adjoint.empty()) adjoint = compare(run.adjoint, exact.adjoint);
    out.relative_error += share * gradient.relative_error;
    out.cosine += share * gradient.cosine;
    out.norm_ratio += share * gradient.norm_ratio;
    out.adjoint_relative_error += share * adjoint.relative_error;
    out.adjoint_cosine += share * adjoint.cosine;
    out.map_calls += share * (run.forward.map_calls + run.extra_map_calls);
    out.vjp_calls += share * (run.forward.jacobian_products + run.backward.map_calls);
    out.fallback_fraction += share * run.backward.fallback_fraction();
    out.loss += share * run.loss;
    std::size_t i = 0;
    for (const ParameterEntry& entry : model_.parameters->entries())
      if (entry.is_trainable) add_scaled(run.gradients[i++], share, out.gradients.at(entry.name));
  }

  const AuditedModel& model_;
  const std::vector<AuditInputs>& batches_;
  Backend& backend_;
  const AuditOptions& options_;
  std::vector<AuditRun> exact_;  // what all are compared with, a batch each
  std::size_t exact_bytes_ = 0;  // arena of the largest program that one of them is of
  std::int64_t done_ = 0;
  std::int64_t total_ = 0;
  bool is_stopped_ = false;
};

}  // namespace

AuditResult audit(const AuditedModel& model, const AuditedEstimator& exact,
                  const std::vector<AuditedEstimator>& estimators, const std::vector<AuditInputs>& batches,
                  Backend& backend, const AuditOptions& options) {
  check(!batches.empty(), "audit", "there is no batch to compare gradients on");
  check(model.parameters != nullptr, "audit", "the model has no parameters");
  const ParameterKeeper keeper(*model.parameters);
  return Audit(model, batches, backend, options).run(exact, estimators);
}

}  // namespace deq
