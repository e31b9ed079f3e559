#pragma once

#include <vector>

#include "solvers/linear_residual.h"

namespace deq {

/// u = (I - J^T)^-1 w with J^T replaced by what `columns` of its columns say of it (NystromColumns).
///
/// `columns` products with unit vectors and one that measures the residual of the result. Which coordinates a sample
/// draws depends on the seed and on |w| of that sample alone: another draw every step, the same one when a run is
/// resumed. Memory: `columns` states and a number. Cost beside the products: two passes over them and a small solve a
/// sample.
///
/// Status: max_steps (or converged where the residual is 0), stalled when the small matrix is singular; u = w then.
class Nystrom final : public LinearSolver {
 public:
  /// Errors (RequestError): columns below 1.
  Nystrom(const StateSpec& spec, StateOps& ops, const NystromColumns& options);

  void layout(Slab& workspace) override;
  /// Whatever u is on entry, the result is that of the formula.
  void solve(const LinearSystem& system, StateView u, SolveReport& report) override;

 private:
  void draw(StateView w);
  /// One element of a state; `position` counts through the blocks of a sample.
  [[nodiscard]] StateView element(StateView state, int sample, std::int64_t position) const;
  [[nodiscard]] double read(StateView state, int sample, std::int64_t position);
  /// Column `index` of J^T of every sample.
  void make_column(const LinearSystem& system, int index);
  /// Weights of the columns in u; false when the small matrix is singular.
  [[nodiscard]] bool solve_small(StateView w, int sample);
  [[nodiscard]] std::int64_t& coordinate(int index, int sample);

  StateSpec spec_;
  StateOps* ops_;
  NystromColumns options_;
  int columns_;
  LinearResidual residual_;
  StateSpec element_;                     // one number
  StateStack stack_;                      // [columns] states: columns of J^T
  StateView one_;                         // the number 1 where the columns are
  std::vector<std::int64_t> coordinate_;  // [columns, batch]
  std::vector<double> gram_;              // [columns, columns, batch] G^T G
  std::vector<double> weights_;           // [columns, batch]
  std::vector<double> matrix_, right_;    // of one sample
  std::vector<double> norm2_;             // [batch]
};

}  // namespace deq
