#include "solvers/linear_solver.h"

#include "solvers/bicgstab.h"
#include "solvers/gmres.h"
#include "solvers/neumann.h"
#include "solvers/nystrom.h"

namespace deq {
namespace {

struct Maker {
  const StateSpec& spec;
  StateOps& ops;

  std::unique_ptr<LinearSolver> operator()(const KrylovAdjoint& options) const {
    switch (options.method) {
      case KrylovMethod::gmres: return std::make_unique<Gmres>(spec, ops, options);
      case KrylovMethod::bicgstab: return std::make_unique<BiCgStab>(spec, ops, options);
    }
    return nullptr;
  }
  std::unique_ptr<LinearSolver> operator()(const NeumannSeries& options) const {
    return std::make_unique<Neumann>(spec, ops, options);
  }
  std::unique_ptr<LinearSolver> operator()(const NystromColumns& options) const {
    return std::make_unique<Nystrom>(spec, ops, options);
  }
  template <class NotLinear>
  std::unique_ptr<LinearSolver> operator()(const NotLinear&) const {
    return nullptr;
  }
};

}  // namespace

std::unique_ptr<LinearSolver> make_linear_solver(const StateSpec& spec, StateOps& ops, const AdjointOptions& options) {
  return std::visit(Maker{spec, ops}, options);
}

}  // namespace deq
