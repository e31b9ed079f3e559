#pragma once

#include <string>
#include <vector>

#include "solvers/names.h"
#include "tests/solvers/toy_maps.h"

namespace deq::test {

/// u = w + J^T u with a dense J for every sample, as an adjoint sees it.
struct LinearSystems {
  /// w of sample b is that of a batch of one with seed + b, so samples can be taken apart.
  explicit LinearSystems(std::vector<Matrix> matrices, unsigned seed = 1);
  LinearSystems(const LinearSystems&) = delete;
  LinearSystems& operator=(const LinearSystems&) = delete;

  /// Solves by `options`; fills `report`, `products` and u of every sample.
  void solve(const AdjointOptions& options);
  [[nodiscard]] Vector exact(int sample) const;
  /// |u - exact| / |exact|
  [[nodiscard]] double error(int sample) const;
  [[nodiscard]] bool is_fallback(int sample) const { return report.is_fallback[static_cast<std::size_t>(sample)] != 0; }
  [[nodiscard]] SolveStatus status(int sample) const { return report.status[static_cast<std::size_t>(sample)]; }

  std::vector<Matrix> jacobians;
  StateSpec spec;
  State w;
  std::vector<Vector> u;
  SolveReport report;
  int products = 0;  ///< times J^T was really applied
};

/// `exact` by a named method, solved to `tolerance`.
AdjointOptions exact_by(const std::string& method, double tolerance = 1e-12, int max_steps = 200);
/// Scaled identity.
Matrix scaled_identity(int n, double scale);

}  // namespace deq::test
