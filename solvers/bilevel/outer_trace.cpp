#include "solvers/bilevel/outer_trace.h"

namespace deq {

std::string_view name_of(OuterStatus status) {
  switch (status) {
    case OuterStatus::finished: return "finished";
    case OuterStatus::stationary: return "stationary";
    case OuterStatus::stopped: return "stopped";
    case OuterStatus::nonfinite: return "nonfinite";
  }
  return "";
}

}  // namespace deq
