#pragma once

#include <filesystem>
#include <functional>
#include <iosfwd>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "train/tune_config.h"
#include "train/tune_statistics.h"

namespace deq {

/// Writes OUT/summary.json. Errors: Error naming a file that cannot be written.
void write_tune_summary(const TuneConfig& config, const std::vector<TuneTrace>& traces,
                        const std::filesystem::path& out);

/// Writes the plots OUT/suboptimality.{svg,png} (against seconds) and OUT/suboptimality-products.{svg,png} of the
/// configured measure, and the same of the other loss with its name added.
/// @param warn  hears of each plot that could not be drawn or written, and why
void write_tune_charts(const TuneConfig& config, const std::vector<TuneTrace>& traces, const std::filesystem::path& out,
                       const std::function<void(const std::string&)>& warn);

/// A table for people: level-crossing costs, last losses and lambda, statuses.
void print_tune_report(std::ostream& out, const TuneConfig& config, const std::vector<TuneTrace>& traces);

/// `method` -> `seed` -> points.
nlohmann::ordered_json traces_json(const std::vector<TuneTrace>& traces);

}  // namespace deq
