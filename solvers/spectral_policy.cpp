#include "solvers/spectral_policy.h"

#include <algorithm>

#include "core/error.h"
#include "solvers/loop.h"
#include "solvers/method.h"
#include "solvers/names.h"
#include "solvers/spectral_radius.h"

namespace deq {
namespace {

/// u = w, after a look at the eigenvalues of the map.
class SpectralProbe final : public AdjointSolver {
 public:
  SpectralProbe(const StateSpec& spec, StateOps& ops, int steps, std::shared_ptr<SpectralReport> report)
      : spec_(spec), ops_(&ops), arnoldi_(spec, ops, steps), out_(std::move(report)) {}

  [[nodiscard]] std::size_t workspace_bytes() const override { return arnoldi_.workspace_bytes(); }
  void bind(void* workspace) override { arnoldi_.bind(workspace); }
  void solve(FixedPointMap& vjp, const InverseEstimate&, const SolveReport&, StateView w, StateView u,
             SolveReport& report) override {
    arnoldi_.run(vjp, w);
    ops_->copy(spec_, w, u, {});
    out_->radius.assign(arnoldi_.radius().begin(), arnoldi_.radius().end());
    out_->change.assign(arnoldi_.change().begin(), arnoldi_.change().end());
    out_->map_calls = arnoldi_.map_calls();
    report.resize(spec_.batch);
    report.map_calls = report.steps_run = arnoldi_.map_calls();
    report.method = "arnoldi";
  }

 private:
  StateSpec spec_;
  StateOps* ops_;
  SpectralRadius arnoldi_;
  std::shared_ptr<SpectralReport> out_;
};

}  // namespace

SpectralPolicy::SpectralPolicy(SolverOptions solver, int steps)
    : solver_(solver), steps_(steps), report_(std::make_shared<SpectralReport>()) {}

std::unique_ptr<FixedPointSolver> SpectralPolicy::make_solver(const StateSpec& spec, StateOps& ops) const {
  return std::make_unique<Loop>(spec, ops, solver_, EstimateUse::dropped);
}

std::unique_ptr<AdjointSolver> SpectralPolicy::make_adjoint(const StateSpec& spec, StateOps& ops) const {
  return std::make_unique<SpectralProbe>(spec, ops, steps_, report_);
}

ForwardNeeds SpectralPolicy::forward_needs() const { return deq::forward_needs(solver_.method); }

std::string SpectralPolicy::describe() const { return concat(deq::describe(solver_), ", arnoldi(steps=", steps_, ")"); }

}  // namespace deq
