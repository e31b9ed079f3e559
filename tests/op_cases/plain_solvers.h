#pragma once

#include <cstring>

#include "core/fixed_point.h"

// Solvers too simple to be wrong, for tests of what lies around them.

namespace deq::tests {

class NoEstimate final : public InverseEstimate {
 public:
  void apply(StateView, StateView) const override {}
  void apply_transpose(StateView, StateView) const override {}
  [[nodiscard]] std::span<const int> rank() const override { return {}; }
};

/// z <- f(z), a fixed number of times; in host memory.
class PlainSolver final : public FixedPointSolver {
 public:
  PlainSolver(const StateSpec& spec, int steps) : bytes_(spec.bytes()), steps_(steps) {}
  [[nodiscard]] std::size_t workspace_bytes() const override { return 0; }
  [[nodiscard]] std::size_t estimate_bytes() const override { return 0; }
  void bind(void*, void*) override {}
  void solve(FixedPointMap& map, StateView z, SolveReport&) override {
    for (int step = 0; step < steps_; ++step) {
      std::memcpy(map.input().data, z.data, bytes_);
      map.replay();
      std::memcpy(z.data, map.output().data, bytes_);
    }
  }
  [[nodiscard]] const InverseEstimate& estimate() const override { return estimate_; }

 private:
  std::size_t bytes_;
  int steps_;
  NoEstimate estimate_;
};

/// u <- w + J^T u, a fixed number of times; states of doubles in host memory.
class PlainAdjoint final : public AdjointSolver {
 public:
  PlainAdjoint(const StateSpec& spec, int steps)
      : elements_(static_cast<std::size_t>(spec.elements())), steps_(steps) {}
  [[nodiscard]] std::size_t workspace_bytes() const override { return 0; }
  void bind(void*) override {}
  void solve(FixedPointMap& vjp_map, const InverseEstimate&, const SolveReport&, StateView w, StateView u,
             SolveReport&) override {
    std::memcpy(u.data, w.data, elements_ * sizeof(double));
    for (int step = 0; step < steps_; ++step) {
      std::memcpy(vjp_map.input().data, u.data, elements_ * sizeof(double));
      vjp_map.replay();
      const auto* product = static_cast<const double*>(vjp_map.output().data);
      for (std::size_t i = 0; i < elements_; ++i)
        static_cast<double*>(u.data)[i] = static_cast<const double*>(w.data)[i] + product[i];
    }
  }

 private:
  std::size_t elements_;
  int steps_;
};

/// Both. No steps: the tests drive the map themselves.
class PlainPolicy final : public EquilibriumPolicy {
 public:
  explicit PlainPolicy(int steps, bool compacts = false) : steps_(steps), compacts_(compacts) {}
  [[nodiscard]] std::unique_ptr<FixedPointSolver> make_solver(const StateSpec& spec, StateOps&) const override {
    return std::make_unique<PlainSolver>(spec, steps_);
  }
  [[nodiscard]] std::unique_ptr<AdjointSolver> make_adjoint(const StateSpec& spec, StateOps&) const override {
    check(spec.dtype == DType::f64, "plain adjoint", "takes states of doubles");
    return std::make_unique<PlainAdjoint>(spec, steps_);
  }
  [[nodiscard]] bool needs_vjp() const override { return true; }
  [[nodiscard]] bool compacts() const override { return compacts_; }
  [[nodiscard]] std::string describe() const override { return "plain"; }

 private:
  int steps_;
  bool compacts_;
};

}  // namespace deq::tests
