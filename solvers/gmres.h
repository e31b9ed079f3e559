#pragma once

#include <vector>

#include "solvers/linear_residual.h"

namespace deq {

/// Restarted GMRES on (I - J^T) u = w, right-preconditioned, one Krylov space a sample.
///
/// Products: the steps, one for the residual of the start (none from zero) and one after every cycle, which measures
/// the true residual. Memory: restart + 2 states.
/// Source: Y. Saad, M. H. Schultz, SIAM J. Sci. Stat. Comput. 7, 1986; Gram-Schmidt is done twice.
class Gmres final : public LinearSolver {
 public:
  /// Errors (RequestError): restart or max_steps below 1, a negative tolerance.
  Gmres(const StateSpec& spec, StateOps& ops, const KrylovAdjoint& options);

  void layout(Slab& workspace) override;
  void solve(const LinearSystem& system, StateView u, SolveReport& report) override;

 private:
  /// Stops samples whose residual says so. `cycles` counts those done.
  void judge(int cycles, SolveReport& report);
  /// Builds bases of up to `steps` columns for the running samples.
  void build(const LinearSystem& system, int steps, SolveReport& report);
  /// The next basis vector from column j: product, Gram-Schmidt into `column_`, its norm into `norm2_`.
  void extend(const LinearSystem& system, int j);
  /// Takes column j of the Hessenberg matrix in; stops the sample's cycle where it is done.
  void rotate(int j, std::size_t sample);
  /// u += P V y.
  void update(const LinearSystem& system, StateView u, SolveReport& report);
  [[nodiscard]] double& upper(int row, int column, std::size_t sample);
  [[nodiscard]] bool any(const std::vector<std::uint8_t>& mask) const;

  StateSpec spec_;
  StateOps* ops_;
  KrylovAdjoint options_;
  int restart_;
  LinearResidual residual_;
  StateStack basis_;   // [restart + 1] states
  StateView scratch_;  // a vector before or after the preconditioner
  std::vector<std::uint8_t> running_;
  std::vector<std::uint8_t> building_;   // running and not yet at the end of this cycle
  std::vector<std::uint8_t> nonfinite_;  // a product was inf or nan
  std::vector<int> columns_;             // [batch] of this cycle
  std::vector<double> last_norm_;        // [batch] true residual before the cycle
  std::vector<double> upper_;            // [restart, restart, batch] rotated Hessenberg matrices
  std::vector<double> cosine_, sine_;    // [restart, batch]
  std::vector<double> right_;            // [restart + 1, batch] rotated right-hand sides
  std::vector<double> column_, again_;   // [restart + 1, batch]
  std::vector<double> norm2_, scale_;    // [batch]
};

}  // namespace deq
