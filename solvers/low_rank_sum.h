#pragma once

#include <vector>

#include "solvers/method.h"

namespace deq {

/// M = alpha I + sum_k u_k v_k^T, per sample the first rank()[b] pairs. Holds whatever pairs are appended.
///
/// Memory: 2 capacity states. Cost of apply: one pass over all u and v.
class LowRankSum final : public InverseEstimate {
 public:
  /// @param capacity  most pairs kept, >= 1
  LowRankSum(const StateSpec& spec, StateOps& ops, int capacity, double alpha = 1.0);

  void layout(Slab& slab);
  /// M = alpha I for these samples.
  void restart(SampleMask samples);
  [[nodiscard]] int capacity() const { return capacity_; }
  /// Where to write pair `index`; it counts once `truncate(sample, index + 1)` says so.
  [[nodiscard]] StateView u(int index) const { return u_.at(index); }
  [[nodiscard]] StateView v(int index) const { return v_.at(index); }
  [[nodiscard]] StateStack u_stack() const { return u_; }
  [[nodiscard]] StateStack v_stack() const { return v_; }
  /// Uses the first `rank` pairs of a sample.
  void truncate(int sample, int rank) { rank_[static_cast<std::size_t>(sample)] = rank; }

  void apply(StateView x, StateView out) const override { apply_to(x, out, Transposition::none, {}); }
  void apply_transpose(StateView x, StateView out) const override { apply_to(x, out, Transposition::transposed, {}); }
  /// As apply for some samples.
  void apply_to(StateView x, StateView out, Transposition transposition, SampleMask samples) const;
  [[nodiscard]] std::span<const int> rank() const override { return rank_; }

 private:
  StateSpec spec_;
  StateOps* ops_;
  int capacity_;
  double alpha_;
  StateStack u_;
  StateStack v_;
  std::vector<int> rank_;
};

}  // namespace deq
