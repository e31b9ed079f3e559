#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "data/feature_merge.h"
#include "data/tabular.h"
#include "solvers/bilevel/bilevel_samples.h"
#include "solvers/bilevel/lower_level.h"
#include "train/tune_config.h"

namespace deq {

/// The bi-level problem of one seed and where it starts.
struct TuneTask {
  ProblemFactory make_problem;  ///< one problem for each thread that needs its own; the data are shared
  std::vector<double> lambda;   ///< [p]
  std::vector<double> w;        ///< [d]
  std::int64_t train_rows = 0;
  std::int64_t validation_rows = 0;
  std::int64_t test_rows = 0;
  std::vector<bool> is_corrupted = {};  ///< [train_rows] labels that were replaced; or empty
};

/// The data of a configuration, read once; a seed decides how they are split, which labels are corrupted, and w_0.
class TuneData {
 public:
  /// @param folder  where the set is looked for
  /// Errors: RequestError for data that are missing or malformed, as data/tabular.h says.
  TuneData(const TuneConfig& config, const std::filesystem::path& folder);

  /// Errors: RequestError when a part of the split is empty.
  [[nodiscard]] TuneTask task(std::uint32_t seed) const;

  /// A share of all rows for training and the others for validation, as scikit-learn's train_test_split divides them.
  /// Errors: as `task`.
  [[nodiscard]] TuneTask part(double train_fraction, std::uint32_t seed) const;

 private:
  [[nodiscard]] TuneTask finished(BilevelSamples samples, std::uint32_t seed) const;

  TuneConfig config_;
  TabularSet set_;
  std::int64_t features_ = 0;             ///< of the file
  std::optional<MergedFeatures> merged_;  ///< where one penalty is for all weights of a linear model
};

/// How well found weights tell corrupted samples from clean ones: of the samples with the lowest weights, as many as
/// are corrupted, the share that is corrupted. Chance gives the share of corrupted samples.
/// @param lambda  [train_rows] logits of the weights
double cleaning_precision(const std::vector<double>& lambda, const std::vector<bool>& is_corrupted);

}  // namespace deq
