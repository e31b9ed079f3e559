#pragma once

#include <vector>

#include "solvers/low_rank_sum.h"

namespace deq {

/// Most pairs that can be reduced to fewer.
inline constexpr int kMostReduced = kMostRecombined;

/// The pairs of a quasi-Newton inverse M = I + sum_k u_k v_k^T in a bounded memory. When it is full the smallest
/// singular directions of M - I go, an eighth of them but at least one, so that the next update finds room.
///
/// Samples that learn hold the same number of pairs; a sample that stopped keeps its own. M at the best iterate stays
/// at hand: by its rank while its pairs are untouched, else as a copy made before they are first mixed.
///
/// Memory: 2 capacity states, twice that when it is limited and the estimate is kept.
/// Source: B. van de Rotten, S. Verduyn Lunel, A limited memory Broyden method to solve high-dimensional systems of
/// nonlinear equations, EQUADIFF 2003.
class PairMemory {
 public:
  /// @param capacity    most pairs, >= 1; <= kMostReduced when limited
  /// @param is_limited  more pairs than `capacity` may come
  /// @param keeps_best  the estimate is read after the solve
  PairMemory(const StateSpec& spec, StateOps& ops, int capacity, bool is_limited, bool keeps_best);

  void layout(Slab& estimate);
  void start();
  /// Makes room for one pair of the samples that learn. `improved`: those whose best iterate is the current one.
  /// @returns the slot to write u and v into
  int reserve(SampleMask learning, SampleMask improved);
  /// The pair in `slot` counts.
  void commit(int slot, SampleMask learning);
  /// M as it is belongs to the best iterate of these samples.
  void mark_best(SampleMask learning, SampleMask improved);
  /// M of a sample as it was at its best iterate.
  void cut_back(int sample);

  [[nodiscard]] const LowRankSum& sum() const { return sum_; }
  [[nodiscard]] StateView u(int slot) const { return sum_.u(slot); }
  [[nodiscard]] StateView v(int slot) const { return sum_.v(slot); }
  [[nodiscard]] int reductions() const { return reductions_; }

 private:
  void save_best(SampleMask learning, SampleMask improved);
  void copy_pairs(const LowRankSum& from, const LowRankSum& to, int count, SampleMask samples);
  void reduce(SampleMask learning);
  void find_transforms(int sample);
  void measure(StateStack stack, std::vector<double>& gram, SampleMask learning);

  StateSpec spec_;
  StateOps* ops_;
  int capacity_;
  bool is_limited_;
  bool keeps_copy_;
  LowRankSum sum_;
  LowRankSum best_;
  int next_ = 0;  // slot of the next pair of the samples that learn
  int reductions_ = 0;
  std::vector<int> best_rank_;           // [batch]
  std::vector<std::uint8_t> is_saved_;   // [batch] M of the best iterate lies in best_
  std::vector<std::uint8_t> to_save_;    // [batch]
  std::vector<double> gram_u_, gram_v_;  // [capacity, capacity, batch]
  std::vector<double> mix_u_, mix_v_;    // [capacity, capacity, batch]
  std::vector<double> a_, vectors_, r_;  // [capacity, capacity] of one sample
  std::vector<double> work_;             // [capacity, capacity]
};

}  // namespace deq
