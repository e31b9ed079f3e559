#pragma once

#include <cstdint>
#include <string_view>

namespace deq {

/// How the accuracy of an outer iteration grows: eps_k = eps_1 factor^(k-1), eps_1 / k^2, eps_1 / k^3, or the floor
/// from the start. The first three are summable, which HOAG needs to converge.
enum class ToleranceDecay : std::uint8_t { exponential, quadratic, cubic, exact };
std::string_view name_of(ToleranceDecay decay);

struct ToleranceSchedule {
  ToleranceDecay decay = ToleranceDecay::exponential;
  double initial = 1e-3;  ///< eps_1
  double factor = 0.9;    ///< of the exponential decay, in (0, 1]
  double floor = 1e-12;   ///< also of what the executed form of HOAG's step makes of eps
  bool operator==(const ToleranceSchedule&) const = default;
};

/// The tolerances of one run, relative to the first inner gradient.
class ToleranceSequence {
 public:
  /// @throws Error when a member of `schedule` is out of range
  explicit ToleranceSequence(const ToleranceSchedule& schedule);

  [[nodiscard]] double value() const { return value_; }
  /// Goes on to the next outer iteration.
  void advance();
  /// Halves this and every later tolerance: what HOAG does after a step that was too long.
  void halve();

 private:
  ToleranceSchedule schedule_;
  int iteration_ = 1;
  double scale_ = 1.0;
  double value_;
};

}  // namespace deq
