#include "layers/audit_program.h"

#include <cstring>

#include "autodiff/vjp.h"
#include "core/builder.h"
#include "core/error.h"

namespace deq {
namespace {

constexpr const char* kLossLabel = "audited loss";  // nodes from here on are the backward
constexpr const char* kSeedInput = "rng_seed";      // of random layers; the audit draws the same everywhere

double backward_time(const std::vector<Program::LaunchTime>& launches) {
  double total = 0;
  bool is_backward = false;
  for (const Program::LaunchTime& launch : launches) {
    if (is_backward) total += launch.ms;
    if (launch.label == kLossLabel) is_backward = true;
  }
  return total;
}

}  // namespace

AuditProgram::AuditProgram(const AuditedModel& model, const AuditPolicy& policy, Backend& backend, Part part) {
  check(model.parameters != nullptr && model.loss, "audit", "the model has no parameters or no loss");
  const AuditedLoss traced = model.loss(graph_, policy);
  {
    const Scope mark(graph_, kLossLabel);
    check(!traced.loss.is_empty(), "audit", "the model gives an empty value as its loss");
    loss_ = copy(traced.loss);
  }
  std::vector<Value> outputs;
  if (part != Part::loss) {
    const std::vector<Value> parameters = model.parameters->trainable(graph_);
    gradients_ = gradients_or_zeros(loss_, parameters);
    find_adjoint(traced);
    outputs = gradients_;
    outputs.insert(outputs.end(), adjoint_.begin(), adjoint_.end());
  }
  outputs.push_back(loss_);
  program_ = std::make_unique<Program>(
      Program::compile(graph_, outputs, backend, {.plans_only = part == Part::plan, .stop = model.stop}));
}

void AuditProgram::find_adjoint(const AuditedLoss& traced) {
  bool has_equilibrium = false;
  for (NodeId id = 0; id < graph_.size(); ++id) {
    has_equilibrium = has_equilibrium || std::holds_alternative<Equilibrium>(graph_.node(id).op);
    const auto* solve = std::get_if<LinearSolve>(&graph_.node(id).op);
    if (solve != nullptr && solve->system == ImplicitSystem::adjoint && !solve->is_leaf)
      for (std::uint32_t i = 0; i < graph_.node(id).outputs.size(); ++i) adjoint_.push_back(graph_.value({id, i}));
  }
  check(has_equilibrium, "audit", "the model has no equilibrium");
  if (!adjoint_.empty()) return;
  // Unrolled: every application passes a cotangent to f; together they are u.
  for (const EquilibriumTrace& trace : traced.equilibria) {
    applications_ += static_cast<int>(trace.applications.size());
    std::vector<Value> sum;
    for (const std::vector<Value>& results : trace.applications) {
      const std::vector<Value> part = gradients_or_zeros(loss_, results);
      for (std::size_t i = 0; i < part.size(); ++i)
        i < sum.size() ? void(sum[i] = sum[i] + part[i]) : sum.push_back(part[i]);
    }
    adjoint_.insert(adjoint_.end(), sum.begin(), sum.end());
  }
}

void AuditProgram::bind(const AuditInputs& inputs) {
  for (const auto& [name, value] : inputs) program_->bind(name, value);
  if (program_->has_input(kSeedInput) && !inputs.contains(kSeedInput))
    program_->bind(kSeedInput, Tensor(DType::i64, {2}));
}

AuditRun AuditProgram::run(const AuditInputs& inputs) {
  bind(inputs);
  AuditRun out;
  out.milliseconds = backward_time(program_->profile());
  out.loss = static_cast<double>(program_->read(loss_).data<float>()[0]);
  for (const Value& gradient : gradients_) out.gradients.push_back(program_->read(gradient));
  for (const Value& block : adjoint_) out.adjoint.push_back(program_->read(block));
  out.forward = *program_->forward_report();
  if (const SolveReport* backward = program_->backward_report())
    out.backward = *backward;
  else
    out.backward.map_calls = out.extra_map_calls = std::max(0, applications_ - 1);
  return out;
}

double AuditProgram::run_loss(const AuditInputs& inputs) {
  bind(inputs);
  program_->parameters_changed();
  program_->run();
  return static_cast<double>(program_->read(loss_).data<float>()[0]);
}

ParameterKeeper::ParameterKeeper(const ParameterStore& store) : store_(store) {
  for (const ParameterEntry& entry : store.entries()) values_.push_back(entry.value->clone());
}

ParameterKeeper::~ParameterKeeper() {
  for (std::size_t i = 0; i < values_.size(); ++i)
    std::memcpy(store_.entries()[i].value->raw(), values_[i].raw(), values_[i].bytes());
}

}  // namespace deq
