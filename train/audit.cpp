#include "train/audit.h"

#include <algorithm>
#include <cmath>

#include "autodiff/vjp.h"
#include "core/builder.h"
#include "core/program.h"
#include "solvers/names.h"
#include "train/audit_vector.h"

namespace deq {
namespace {

/// What one program run on one batch gave.
struct AuditRun {
  double loss = 0;
  std::vector<Tensor> gradients;  ///< in the order of the trainable parameters
  std::vector<Tensor> adjoint;    ///< u, one per branch
  SolveReport forward;
  SolveReport backward;
  double milliseconds = 0;
};

double largest(const std::vector<double>& values) {
  return values.empty() ? 0 : *std::max_element(values.begin(), values.end());
}

/// Launches after the loss.
double backward_time(const std::vector<Program::LaunchTime>& launches) {
  double total = 0;
  bool is_backward = false;
  for (const Program::LaunchTime& launch : launches) {
    if (is_backward) total += launch.ms;
    if (launch.op == "softmax_cross_entropy") is_backward = true;
  }
  return total;
}

/// Loss, gradients and adjoint of one estimator. The program still updates the running statistics of its model, which
/// a training-mode forward does not read.
class AuditProgram {
 public:
  AuditProgram(const Model& model, Backend& backend, int batch, const SolverConfig& solver,
               const std::string& estimator, bool plans_only = false) {
    image_ = graph_.input("image", {DType::f32, model.image_shape(batch)}, Rate::batch);
    label_ = graph_.input("label", {DType::i32, {batch}}, Rate::batch);
    MdeqForward forward;
    forward.equilibrium.policy = make_policy(solver, estimator);
    loss_ = mean(softmax_cross_entropy(model.network(image_, forward).logits, label_).loss);
    std::vector<Value> parameters;
    for (const ParameterEntry& entry : model.store.entries())
      if (entry.is_trainable) parameters.push_back(graph_.parameter(entry.name, entry.value));
    gradients_ = gradients_or_zeros(loss_, parameters);
    find_adjoint();
    std::vector<Value> outputs = gradients_;
    outputs.insert(outputs.end(), adjoint_.begin(), adjoint_.end());
    outputs.push_back(loss_);
    program_ = std::make_unique<Program>(
        Program::compile(graph_, outputs, backend, {.checks_finite = false, .plans_only = plans_only}));
  }

  AuditRun run(const AuditBatch& batch) {
    program_->bind(image_, batch.images);
    program_->bind(label_, batch.labels);
    AuditRun out;
    out.milliseconds = backward_time(program_->profile());
    out.loss = static_cast<double>(program_->read(loss_).data<float>()[0]);
    for (const Value& gradient : gradients_) out.gradients.push_back(program_->read(gradient));
    for (const Value& block : adjoint_) out.adjoint.push_back(program_->read(block));
    out.forward = *program_->forward_report();
    out.backward = *program_->backward_report();
    return out;
  }

  [[nodiscard]] std::size_t peak_bytes() const { return program_->peak_bytes(); }

 private:
  void find_adjoint() {
    for (NodeId id = 0; id < graph_.size(); ++id)
      if (std::holds_alternative<AdjointSolve>(graph_.node(id).op))
        for (std::uint32_t i = 0; i < graph_.node(id).outputs.size(); ++i) adjoint_.push_back(graph_.value({id, i}));
    check(!adjoint_.empty(), "audit", "the model has no equilibrium");
  }

  Graph graph_{Mode::training};
  Value image_, label_, loss_;
  std::vector<Value> gradients_, adjoint_;
  std::unique_ptr<Program> program_;
};

/// Runs every batch of every estimator, the exact one first.
class Audit {
 public:
  Audit(const Model& model, Backend& backend, const std::vector<AuditBatch>& batches, const AuditOptions& options)
      : model_(model), backend_(backend), batches_(batches), options_(options) {
    total_ = static_cast<std::int64_t>(batches.size() * (1 + options.estimators.size()));
  }

  AuditResult run() {
    AuditResult out;
    baseline_bytes_ = AuditProgram(model_, backend_, batch(), options_.solver, "jfb", true).peak_bytes();
    AuditProgram exact(model_, backend_, batch(), options_.solver, "exact");
    for (const AuditBatch& batch : batches_) {
      if (!goes_on()) return out;
      exact_.push_back(exact.run(batch));
      out.forward_residual = std::max(out.forward_residual, largest(exact_.back().forward.residual));
      out.exact_residual = std::max(out.exact_residual, largest(exact_.back().backward.residual));
      out.exact_calls = std::max(out.exact_calls, exact_.back().backward.map_calls);
    }
    for (const std::string& name : options_.estimators) {
      if (is_stopped_) break;
      out.estimators.push_back(name == "exact" ? measured_exact(exact) : measured(name));
    }
    return out;
  }

 private:
  [[nodiscard]] int batch() const { return static_cast<int>(batches_.front().images.shape()[0]); }

  bool goes_on() {
    if (options_.progress && !is_stopped_) is_stopped_ = !options_.progress(done_++, total_);
    return !is_stopped_;
  }

  EstimatorAudit measured_exact(const AuditProgram& program) {
    EstimatorAudit out = begun("exact", program);
    for (const AuditRun& run : exact_) add(out, run, run);
    done_ += static_cast<std::int64_t>(batches_.size());
    return out;
  }

  EstimatorAudit measured(const std::string& name) {
    AuditProgram program(model_, backend_, batch(), options_.solver, name);
    EstimatorAudit out = begun(name, program);
    for (std::size_t i = 0; i < batches_.size() && goes_on(); ++i) add(out, program.run(batches_[i]), exact_[i]);
    return out;
  }

  EstimatorAudit begun(const std::string& name, const AuditProgram& program) const {
    EstimatorAudit out;
    out.name = name;
    out.extra_bytes = program.peak_bytes() - std::min(program.peak_bytes(), baseline_bytes_);
    for (const ParameterEntry& entry : model_.store.entries())
      if (entry.is_trainable) out.gradients.emplace(entry.name, Tensor(entry.value->type()));
    return out;
  }

  /// Adds a batch's share of every mean.
  void add(EstimatorAudit& out, const AuditRun& run, const AuditRun& exact) const {
    const double share = 1.0 / static_cast<double>(batches_.size());
    const VectorComparison gradient = compare(run.gradients, exact.gradients);
    const VectorComparison adjoint = compare(run.adjoint, exact.adjoint);
    out.relative_error += share * gradient.relative_error;
    out.cosine += share * gradient.cosine;
    out.norm_ratio += share * gradient.norm_ratio;
    out.adjoint_relative_error += share * adjoint.relative_error;
    out.adjoint_cosine += share * adjoint.cosine;
    out.map_calls += share * run.forward.map_calls;
    out.vjp_calls += share * run.backward.map_calls;
    out.milliseconds += share * run.milliseconds;
    out.fallback_fraction += share * run.backward.fallback_fraction();
    out.loss += share * run.loss;
    std::size_t i = 0;
    for (const ParameterEntry& entry : model_.store.entries())
      if (entry.is_trainable) add_scaled(run.gradients[i++], share, out.gradients.at(entry.name));
  }

  const Model& model_;
  Backend& backend_;
  const std::vector<AuditBatch>& batches_;
  const AuditOptions& options_;
  std::vector<AuditRun> exact_;
  std::size_t baseline_bytes_ = 0;
  std::int64_t done_ = 0;
  std::int64_t total_ = 0;
  bool is_stopped_ = false;
};

}  // namespace

AuditResult audit_gradients(const Model& model, Backend& backend, const std::vector<AuditBatch>& batches,
                            const AuditOptions& options) {
  require(!batches.empty(), "audit", "there is no batch to compare gradients on");
  require(model.config.model.task == "classification", "audit", "needs a classification model, this one is for ",
          model.config.model.task);
  for (const std::string& name : options.estimators) (void)adjoint_from_name(name);
  Config without_dropout = model.config;
  without_dropout.model.dropout = 0;
  const Model copy(without_dropout);
  copy_tensors(model.tensors(), copy.tensors(), "audit");
  return Audit(copy, backend, batches, options).run();
}

}  // namespace deq
