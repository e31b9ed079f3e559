#pragma once

#include <span>
#include <vector>

#include "core/fixed_point.h"
#include "core/state_ops.h"

namespace deq {

/// Largest modulus of the eigenvalues of a linear map v -> A v, per sample, by Arnoldi's method.
///
/// An orthonormal basis of span {v, A v, ..., A^(m-1) v} reduces A to a small Hessenberg matrix, whose largest
/// eigenvalue tends to that of A; a complex pair is found as well as a real one. A Rayleigh quotient of the power
/// iteration, in contrast, tells the real part of a rotating pair at best. With A = J^T at a fixed point of f, radius
/// < 1 says that plain iteration converges there.
///
/// Memory: steps + 1 states. Cost: `steps` products with A and as many passes over the basis, twice.
/// Source: Y. Saad, Numerical Methods for Large Eigenvalue Problems, SIAM 2011, section 6.2.
class SpectralRadius {
 public:
  /// @param steps  dimension of the basis, >= 1; no more than a sample has elements are used
  /// @throws Error  steps < 1 or an empty state
  SpectralRadius(const StateSpec& spec, StateOps& ops, int steps);

  [[nodiscard]] std::size_t workspace_bytes() const { return workspace_bytes_; }
  void bind(void* workspace);
  /// `linear` maps v to A v. `start` holds one vector a sample, best random ones, and keeps its values.
  void run(FixedPointMap& linear, StateView start);

  /// [batch] of the last run; NaN where the start was zero or a product was not finite.
  [[nodiscard]] std::span<const double> radius() const { return radius_; }
  /// [batch] How far the last quarter of the steps moved each radius: small when more steps would not change it.
  [[nodiscard]] std::span<const double> change() const { return change_; }
  [[nodiscard]] int map_calls() const { return map_calls_; }

 private:
  /// Makes slot `index` orthogonal to the slots before it; adds the components to column index - 1.
  void orthogonalise(int index);
  /// Scales slot `index` to length 1. Samples of whose vector orthogonalisation left nothing stop: their basis is
  /// whole.
  void normalise(int index);
  void measure_norm(int index, std::vector<double>& norm);
  [[nodiscard]] double radius_of(int sample, int dimension) const;
  double& entry(int sample, int row, int column);

  StateSpec spec_;
  StateOps* ops_;
  int steps_;
  std::size_t workspace_bytes_ = 0;
  StateStack basis_;                  // [steps + 1] states
  std::vector<double> hessenberg_;    // [batch, steps + 1, steps]
  std::vector<double> coefficient_;   // [steps + 1, batch]
  std::vector<double> norm_;          // [batch] of the newest vector
  std::vector<double> norm_before_;   // [batch] before it was made orthogonal
  std::vector<int> dimension_;        // [batch]
  std::vector<std::uint8_t> active_;  // [batch]
  std::vector<double> radius_, change_;
  int map_calls_ = 0;
};

}  // namespace deq
