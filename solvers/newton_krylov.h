#pragma once

#include <vector>

#include "solvers/identity_estimate.h"
#include "solvers/method.h"

namespace deq {

/// Inexact Newton: the step s solves (I - J) s = r up to |r - (I - J) s| <= forcing |r| by GMRES, each sample alone.
/// A sample that got there, or whose Krylov space is exhausted, takes no part in further directions.
///
/// Memory: inner_steps + 3 states.
/// Source: Y. Saad, M. Schultz, GMRES, SIAM J. Sci. Stat. Comput. 7, 1986; R. Dembo, S. Eisenstat, T. Steihaug,
/// Inexact Newton methods, SIAM J. Numer. Anal. 19, 1982.
class NewtonKrylovMethod final : public Method {
 public:
  NewtonKrylovMethod(const StateSpec& spec, StateOps& ops, const NewtonKrylov& options);
  void layout(Slab& workspace, Slab& estimate) override;
  void start(const InverseEstimate*) override { jacobian_products_ = 0; }
  StateView residual_slot(int) override { return basis_.at(0); }
  int advance(const Iterate& iterate) override;
  void truncate(int, int) override {}
  [[nodiscard]] const InverseEstimate& estimate() const override { return estimate_; }
  [[nodiscard]] MethodCounts counts() const override { return {.jacobian_products = jacobian_products_}; }

 private:
  [[nodiscard]] double& hessenberg(int i, int j, std::size_t b);
  void begin(const Iterate& iterate);
  /// Direction j + 1 from direction j. @returns whether any sample goes on
  bool expand(const Iterate& iterate, int j);
  /// Rotates column j to triangular form. @returns whether the sample goes on
  bool rotate(int j, std::size_t b);
  void solve_triangle(std::size_t b);

  StateSpec spec_;
  StateOps* ops_;
  NewtonKrylov options_;
  IdentityEstimate estimate_;
  int jacobian_products_ = 0;
  StateStack basis_;                   // [inner_steps + 1] orthonormal directions; slot 0 begins as the residual
  std::vector<std::uint8_t> working_;  // [batch]
  std::vector<int> columns_;           // [batch] directions of a sample's step
  std::vector<double> h_;              // [inner_steps, inner_steps + 1, batch] by column
  std::vector<double> cosine_, sine_;  // [inner_steps, batch]
  std::vector<double> right_;          // [inner_steps + 1, batch]
  std::vector<double> first_norm_;     // [batch]
  std::vector<double> dots_;           // [inner_steps + 1, batch]
  std::vector<double> scale_;          // [batch]
  const std::vector<double> one_;
};

}  // namespace deq
