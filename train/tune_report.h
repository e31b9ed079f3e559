#pragma once

#include <filesystem>
#include <iosfwd>
#include <nlohmann/json.hpp>
#include <vector>

#include "train/tune_config.h"
#include "train/tune_statistics.h"

namespace deq {

/// Writes OUT/summary.json and the plots OUT/suboptimality.{svg,png} (against seconds) and
/// OUT/suboptimality-products.{svg,png} of the configured measure, and the same of the other loss with its name added.
/// Errors: Error naming a file that cannot be written.
void write_tune_report(const TuneConfig& config, const std::vector<TuneTrace>& traces,
                       const std::filesystem::path& out);

/// A table for people: level-crossing costs, last losses and lambda, statuses.
void print_tune_report(std::ostream& out, const TuneConfig& config, const std::vector<TuneTrace>& traces);

/// `method` -> `seed` -> points.
nlohmann::ordered_json traces_json(const std::vector<TuneTrace>& traces);

}  // namespace deq
