#pragma once

#include <string>
#include <vector>

#include "train/plan_report.h"

namespace deq {

/// What makes no sense in a plan, one sentence each. `peak_bytes` 0 means not known.
std::vector<std::string> plan_warnings(const Config& config, const RunPlan& plan);

}  // namespace deq
