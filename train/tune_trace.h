#pragma once

#include <cmath>
#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "solvers/bilevel/outer_trace.h"

namespace deq {

/// One method on one seed, as it is kept on disk.
struct TuneTrace {
  std::string method;
  std::int64_t seed = 0;
  std::string status;            ///< name_of(OuterStatus)
  std::int64_t lambda_size = 1;  ///< p; beyond kLargestLambdaList points hold {min, median, max} of lambda instead
  std::vector<OuterPoint> points;
  std::optional<double> cleaning_precision = std::nullopt;

  /// Points whose inner solve missed its tolerance.
  [[nodiscard]] int unconverged() const;
  /// The point of the smallest validation loss.
  [[nodiscard]] const OuterPoint& best() const;
};

/// a < b, where what is not a number is above all numbers.
inline bool is_lower(double a, double b) { return a < b || (!std::isnan(a) && std::isnan(b)); }

/// Longer lambda are summarised by their smallest, middle and largest entry in a trace.
inline constexpr std::int64_t kLargestLambdaList = 256;

/// Smallest, middle and largest entry.
std::vector<double> lambda_summary(std::vector<double> lambda);

/// Lambda of a point: a number when `size` is 1, a list, or {min, median, max} of a summary.
nlohmann::ordered_json lambda_json(const std::vector<double>& lambda, std::int64_t size);

/// The points as `deq tune --json` lists them.
nlohmann::ordered_json points_json(const TuneTrace& trace);

/// OUT/traces/METHOD-SEED.json
std::filesystem::path trace_file(const std::filesystem::path& out, const std::string& method, std::int64_t seed);

/// Writes the trace so that a kill leaves it whole or absent. Errors: Error naming the file.
void write_trace(const std::filesystem::path& file, const TuneTrace& trace);

/// Errors: RequestError naming the file when it is not a trace.
TuneTrace read_trace(const std::filesystem::path& file);

}  // namespace deq
