#pragma once

#include <nlohmann/json.hpp>

#include "train/metrics.h"

namespace deq {

/// {steps_mean, residual_mean, status {name: samples}} of the solves of an evaluation.
nlohmann::ordered_json forward_json(const SolveMetrics& solve);

}  // namespace deq
