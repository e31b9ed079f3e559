#pragma once

#include <vector>

#include "solvers/linear_residual.h"

namespace deq {

/// BiCGSTAB on (I - J^T) u = w, right-preconditioned, one recurrence a sample. Needs six states however many steps it
/// takes, but its residual may grow on the way; the best iterate is returned.
///
/// A step is half an iteration and makes one product. Further products: the residual of the start (none from zero) and
/// the true residual of the result (and again whenever it turns out that the recurrence has drifted from it). A
/// recurrence that breaks down begins again from its iterate. Source: H. A. van der Vorst, SIAM J. Sci. Stat. Comput.
/// 13, 1992.
class BiCgStab final : public LinearSolver {
 public:
  /// Errors (RequestError): max_steps below 1, a negative tolerance.
  BiCgStab(const StateSpec& spec, StateOps& ops, const KrylovAdjoint& options);

  void layout(Slab& workspace) override;
  void solve(const LinearSystem& system, StateView u, SolveReport& report) override;

 private:
  void begin(const LinearSystem& system, StateView u, SolveReport& report);
  /// out = A P direction; P direction is left in the input of the system's map.
  void multiply(const LinearSystem& system, StateView direction, StateView out, SolveReport& report);
  void first_half(const LinearSystem& system, SolveReport& report);
  void second_half(const LinearSystem& system, SolveReport& report);
  /// x += c (P d), r -= c image with c in `scale_` and P d in the map's input; keeps the best x, stops samples.
  void move(const LinearSystem& system, StateView image, StateView u, SolveReport& report);
  /// p = r + beta (p - omega v), or p = r0 = r for samples that broke down.
  void turn(SolveReport& report);
  /// Measures the true residual of u. Samples whose recurrence has drifted from it begin again from u.
  void verify(const LinearSystem& system, StateView u, SolveReport& report);
  /// Starts the recurrence of the running samples from r.
  void restart();
  [[nodiscard]] bool any_running() const;

  StateSpec spec_;
  StateOps* ops_;
  KrylovAdjoint options_;
  LinearResidual residual_;
  StateView x_, r_, shadow_, p_, v_, t_;
  std::vector<std::uint8_t> running_;
  std::vector<std::uint8_t> broke_;
  std::vector<std::uint8_t> improved_;
  bool is_first_half_ = true;
  std::vector<double> rho_, alpha_, omega_, first_norm_, best_norm_, true_norm_;  // [batch]
  std::vector<double> dot_a_, dot_b_, scale_;                                     // [batch] scratch
};

}  // namespace deq
