#pragma once

#include <vector>

#include "solvers/method.h"

namespace deq {

/// The last iterates Z and residuals R of an Anderson solve, and the inverse they imply:
///   M = mixing I - (dZ + mixing dR) (dR^T dR)^-1 dR^T,  M dR = -dZ,
/// with dZ, dR the differences of consecutive columns up to the returned iterate of each sample. Columns whose Gram
/// matrix is singular are dropped, oldest first.
///
/// Memory: 2 memory states. Cost of apply: one pass over R and one over Z and R.
/// Source: H. Fang, Y. Saad, Two classes of multisecant methods, Numer. Linear Algebra Appl. 16, 2009.
class AndersonEstimate final : public InverseEstimate {
 public:
  /// @param memory  iterates kept, 1 .. 64
  AndersonEstimate(const StateSpec& spec, StateOps& ops, int memory, double mixing);

  void layout(Slab& slab);
  void restart();
  [[nodiscard]] int memory() const { return memory_; }
  [[nodiscard]] StateView residual(int step) const { return r_.at(step % memory_); }
  /// Iterate `step` with the residual already in its slot: updates the Gram matrix of these samples.
  void record(int step, StateView z, SampleMask samples);
  /// z = sum_j weight_j (z_j + mixing r_j) with the weights that minimise |sum_j weight_j r_j|, sum_j weight_j = 1.
  /// @returns samples whose history had to be shortened because its Gram matrix was singular
  int mix(const Ridge& ridge, StateView z, SampleMask learning, SampleMask advancing);
  /// Uses differences up to the iterate of this step only.
  void truncate(int sample, int step);

  void apply(StateView x, StateView out) const override;
  void apply_transpose(StateView x, StateView out) const override;
  [[nodiscard]] std::span<const int> rank() const override { return rank_; }

 private:
  /// Steps first .. last are in the history of a sample and may be used.
  struct Window {
    int first = 0;
    int last = -1;
  };
  [[nodiscard]] Window window(int sample) const;
  [[nodiscard]] std::size_t column(int step, int sample) const;  // index of [slot, sample]
  [[nodiscard]] double gram(int sample, int step_i, int step_j) const;
  [[nodiscard]] double difference_gram(int sample, int step_i, int step_j) const;
  [[nodiscard]] bool solve_weights(int sample, Window window, const Ridge& ridge);
  [[nodiscard]] bool solve_differences(int sample, Window window) const;
  /// From right-hand sides d_j = right[j + 1] - right[j] per sample, gamma = (dR^T dR)^-1 d, into the coefficients of
  /// the columns in `right`: dC gamma = sum_j right_j c_j.
  void project(std::vector<double>& right) const;

  StateSpec spec_;
  StateOps* ops_;
  int memory_;
  double mixing_;
  StateStack z_;
  StateStack r_;
  int columns_ = 0;             // slots written since the start
  std::vector<int> recorded_;   // [batch] last step recorded
  std::vector<int> last_used_;  // [batch] last step that the estimate may use
  std::vector<int> rank_;
  std::vector<double> gram_;         // [memory, memory, batch] r_i . r_j by slot
  std::vector<double> weights_;      // [memory, batch] by slot
  std::vector<double> mixing_each_;  // [batch]
  // Scratch of apply, which is const to its callers.
  mutable std::vector<double> dots_;    // [memory, batch]
  mutable std::vector<double> mixed_;   // [memory, batch]
  mutable std::vector<double> matrix_;  // [memory, memory]
  mutable std::vector<double> right_;   // [memory]
};

/// Anderson acceleration.
class AndersonMethod final : public Method {
 public:
  AndersonMethod(const StateSpec& spec, StateOps& ops, const Anderson& options);
  void layout(Slab&, Slab& estimate) override { estimate_.layout(estimate); }
  void start(const InverseEstimate*) override { estimate_.restart(); }
  StateView residual_slot(int step) override { return estimate_.residual(step); }
  int advance(const Iterate& iterate) override;
  void truncate(int sample, int best_step) override { estimate_.truncate(sample, best_step); }
  [[nodiscard]] const InverseEstimate& estimate() const override { return estimate_; }

 private:
  Ridge ridge_;
  AndersonEstimate estimate_;
};

}  // namespace deq
