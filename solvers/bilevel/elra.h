#pragma once

#include <cstdint>
#include <vector>

#include "solvers/bilevel/outer_optimizer.h"

namespace deq {

/// P2Min of ELRA for deterministic F (constants of the authors' code of January 2024). One step length alpha for all
/// entries, hence rotation invariant. Guards of our own: a value or gradient that is not finite is a rejected step;
/// where the gradient is zero, or the parabola has no minimum, lambda or alpha stays. The length of a step is capped
/// (so does the authors' code of 2025): where F curves down alpha grows at once by up to 10^6, and where F is bounded,
/// as a validation loss over log-penalties is, no rise would tell that such a step went too far.
class Elra final : public OuterOptimizer {
 public:
  Elra(const ElraDescent& options, std::int64_t size);
  void step(double value, ConstVector gradient, Vector lambda) override;
  [[nodiscard]] double rate() const { return rate_; }
  [[nodiscard]] int rejected() const { return rejected_; }

 private:
  [[nodiscard]] bool is_acceptable(double value) const;
  void respect_clipping(ConstVector lambda);
  void accept(double value, ConstVector gradient, Vector lambda);
  void reject(double value, Vector lambda);
  void move(Vector lambda);

  double offset_, most_rise_;
  double longest_;  ///< |lambda step| in the 2-norm
  double rate_;
  double caution_ = 855000.0;    ///< D: caps the growth of alpha at 10^6 / (1 + D)
  double tolerance_ = 500000.0;  ///< E: narrows which values are accepted
  double limit_ = 0.0;           ///< no value above it is accepted: `most_rise` times the first one
  double best_ = 0.0;            ///< lowest value, grown by a tenth at each step that does not lower it
  double previous_ = 0.0;        ///< value at the last accepted point
  bool has_point_ = false;
  int rejected_ = 0;
  std::vector<double> point_, gradient_;  ///< the last accepted point and its gradient
  std::vector<double> proposal_;          ///< what the last step returned
};

}  // namespace deq
