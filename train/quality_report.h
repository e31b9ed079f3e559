#pragma once

#include <filesystem>
#include <iosfwd>
#include <nlohmann/json.hpp>

#include "solvers/bilevel/inverse_quality.h"
#include "train/tune_config.h"
#include "train/tune_task.h"

namespace deq {

/// The same experiment with and without outer-aware pairs.
struct QualityReport {
  InverseQualityResult aware;
  InverseQualityResult plain;
  std::int64_t rows = 0;  ///< training samples
};

/// Fits `quality.train_fraction` of the data (split by `quality.split_seed`) and compares B^-1 x with H^-1 x.
/// Errors: Interrupted after a signal.
QualityReport measure_quality(const TuneConfig& config, const TuneData& data);

/// For each series the quartiles of error and ratio, the median cosine, and the share of points inside the window of
/// the published plot.
nlohmann::ordered_json quality_json(const QualityReport& report);

/// Writes inverse-quality.json and the scatter plot inverse-quality.{svg,png}: cosine against ratio, in the window of
/// the published plot. Errors: Error naming a file that cannot be written.
void write_quality_report(const QualityReport& report, const std::filesystem::path& out);

void print_quality(std::ostream& out, const QualityReport& report);

}  // namespace deq
