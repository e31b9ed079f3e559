#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "train/metrics.h"

namespace deq {

/// {steps_mean, residual_mean, status {name: samples}, evaluations_saved} of the solves of an evaluation, with
/// out_of_time (solves) where a time budget ended any.
nlohmann::ordered_json forward_json(const SolveMetrics& solve);

/// "23.4 % of f evaluations saved", with the solves that ran out of time where there are any.
std::string spared(const SolveMetrics& solve);

}  // namespace deq
