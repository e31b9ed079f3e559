#include "solvers/policy.h"

#include "core/error.h"
#include "solvers/adjoint.h"
#include "solvers/fallback.h"
#include "solvers/loop.h"
#include "solvers/names.h"
#include "solvers/sample_solver.h"
#include "solvers/warm_start.h"

namespace deq {
namespace {

/// Whether `needed` says nothing against `chosen`: Broyden{} with any memory is no choice yet, and adjoint Broyden may
/// get the extra updates that it does not ask for.
bool is_refined_by(const SolverMethod& chosen, const SolverMethod& needed) {
  if (chosen == needed) return true;
  if (const auto* broyden = std::get_if<Broyden>(&chosen)) return *broyden == Broyden{.memory = broyden->memory};
  const auto* adjoint = std::get_if<AdjointBroyden>(&chosen);
  return adjoint != nullptr && adjoint->outer_every == 0 && std::holds_alternative<AdjointBroyden>(needed);
}

}  // namespace

ImplicitPolicy::ImplicitPolicy(SolverOptions solver, AdjointOptions adjoint, Compaction compaction)
    : solver_(solver), adjoint_(adjoint), compaction_(compaction) {
  check_adjoint(adjoint_);
}

ImplicitPolicy& ImplicitPolicy::fall_back_on(std::vector<SolverMethod> chain) {
  chain_ = std::move(chain);
  return *this;
}

ImplicitPolicy& ImplicitPolicy::use_method(std::string name, MethodFactory factory, ForwardNeeds needs) {
  check(factory != nullptr, "policy", "the method '", name, "' has no factory");
  own_name_ = std::move(name);
  own_method_ = std::move(factory);
  own_needs_ = needs;
  return *this;
}

ImplicitPolicy& ImplicitPolicy::start_warm() {
  starts_warm_ = true;
  return *this;
}

std::unique_ptr<FixedPointSolver> ImplicitPolicy::make_solver(const StateSpec& spec, StateOps& ops) const {
  std::unique_ptr<FixedPointSolver> cold = make_cold_solver(spec, ops);
  if (!starts_warm_) return cold;
  return std::make_unique<WarmStartSolver>(spec, ops, std::move(cold));
}

std::unique_ptr<FixedPointSolver> ImplicitPolicy::make_cold_solver(const StateSpec& spec, StateOps& ops) const {
  // A method of the caller's need not know of single samples, and a time budget is one of the whole batch.
  if (own_method_ || !needs_only_f() || solver_.time_budget_ms > 0.0) return make_chain(spec, ops);
  return std::make_unique<SampleSolver>(
      spec, [policy = *this, &ops](const StateSpec& part) { return policy.make_chain(part, ops); });
}

std::unique_ptr<FixedPointSolver> ImplicitPolicy::make_chain(const StateSpec& spec, StateOps& ops) const {
  const EstimateUse use = needs_estimate(adjoint_) ? EstimateUse::kept : EstimateUse::dropped;
  std::unique_ptr<Loop> first = own_method_
                                    ? std::make_unique<Loop>(spec, ops, solver_, use, own_method_(spec, ops), own_name_)
                                    : std::make_unique<Loop>(spec, ops, solver_, use);
  if (chain_.empty()) return first;
  std::vector<std::unique_ptr<Loop>> links;
  links.push_back(std::move(first));
  for (const SolverMethod& method : chain_) {
    SolverOptions options = solver_;
    options.method = method;
    links.push_back(std::make_unique<Loop>(spec, ops, options, use));
  }
  return std::make_unique<FallbackSolver>(spec, ops, std::move(links));
}

std::unique_ptr<AdjointSolver> ImplicitPolicy::make_adjoint(const StateSpec& spec, StateOps& ops) const {
  return std::make_unique<Adjoint>(spec, ops, adjoint_);
}

bool ImplicitPolicy::needs_vjp() const { return deq::needs_vjp(adjoint_); }

bool ImplicitPolicy::needs_only_f() const {
  const ForwardNeeds needs = forward_needs();
  return !needs.pullback && !needs.pushforward && !needs.outer_gradient;
}

bool ImplicitPolicy::compacts() const {
  return compaction_ == Compaction::on && solver_.tolerance.value > 0.0 && needs_only_f();
}

ForwardNeeds ImplicitPolicy::forward_needs() const {
  ForwardNeeds needs = own_method_ ? own_needs_ : deq::forward_needs(solver_.method);
  for (const SolverMethod& method : chain_) {
    const ForwardNeeds more = deq::forward_needs(method);
    needs.pullback = needs.pullback || more.pullback;
    needs.pushforward = needs.pushforward || more.pushforward;
    needs.outer_gradient = needs.outer_gradient || more.outer_gradient;
  }
  return needs;
}

std::string ImplicitPolicy::describe() const {
  std::string out = deq::describe(solver_);
  if (own_method_) out = concat(own_name_, out.substr(out.find('(')));
  for (const SolverMethod& method : chain_) out += concat(" > ", name_of(method));
  if (compacts()) out += ", compacting";
  if (starts_warm_) out += ", warm start";
  return concat(out, ", ", name_of(adjoint_));
}

std::optional<Unrolling> ImplicitPolicy::unrolling() const {
  const auto* const phantom = std::get_if<Phantom>(&adjoint_);
  if (phantom == nullptr) return std::nullopt;
  return Unrolling{.steps = phantom->steps, .damping = phantom->damping};
}

std::shared_ptr<ImplicitPolicy> policy_from_name(const std::string& estimator, SolverOptions solver) {
  const AdjointOptions adjoint = adjoint_from_name(estimator);
  const auto* const broyden = std::get_if<Broyden>(&solver.method);
  const SolverMethod needed = forward_method_of(estimator, solver.method, broyden != nullptr ? broyden->memory : 0);
  require(is_refined_by(solver.method, needed), "policy", "the estimator '", estimator, "' runs on ", name_of(needed),
          " but solver.method is ", name_of(solver.method), "; leave it out, or choose another estimator");
  solver.method = needed;
  return std::make_shared<ImplicitPolicy>(solver, adjoint);
}

}  // namespace deq
