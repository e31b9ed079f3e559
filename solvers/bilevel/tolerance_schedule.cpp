#include "solvers/bilevel/tolerance_schedule.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"

namespace deq {

std::string_view name_of(ToleranceDecay decay) {
  switch (decay) {
    case ToleranceDecay::exponential: return "exponential";
    case ToleranceDecay::quadratic: return "quadratic";
    case ToleranceDecay::cubic: return "cubic";
    case ToleranceDecay::exact: return "exact";
  }
  return "";
}

ToleranceSequence::ToleranceSequence(const ToleranceSchedule& schedule)
    : schedule_(schedule),
      value_(schedule.decay == ToleranceDecay::exact ? schedule.floor : std::max(schedule.floor, schedule.initial)) {
  check(schedule.initial > 0 && schedule.floor > 0 && schedule.factor > 0 && schedule.factor <= 1, "tolerance schedule",
        "initial is ", schedule.initial, ", factor ", schedule.factor, " and floor ", schedule.floor,
        "; all must be positive and the factor at most 1");
}

void ToleranceSequence::advance() {
  ++iteration_;
  const double k = iteration_;
  double wanted = schedule_.floor;
  switch (schedule_.decay) {
    case ToleranceDecay::exponential: wanted = schedule_.initial * std::pow(schedule_.factor, k - 1); break;
    case ToleranceDecay::quadratic: wanted = schedule_.initial / (k * k); break;
    case ToleranceDecay::cubic: wanted = schedule_.initial / (k * k * k); break;
    case ToleranceDecay::exact: break;
  }
  value_ = std::max(schedule_.floor, scale_ * wanted);
}

void ToleranceSequence::halve() {
  scale_ /= 2;
  value_ = std::max(schedule_.floor, value_ / 2);
}

}  // namespace deq
