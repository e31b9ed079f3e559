#include "train/tune_task.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>

#include "core/error.h"
#include "core/random.h"
#include "data/feature_order.h"
#include "data/label_noise.h"
#include "data/row_split.h"
#include "solvers/bilevel/data_cleaning.h"
#include "solvers/bilevel/logistic_regression.h"
#include "solvers/bilevel/multinomial_logistic_regression.h"
#include "solvers/bilevel/nonlinear_least_squares.h"

namespace deq {
namespace {

// The draw of w_0 among those of a seed.
constexpr std::uint32_t kStartSite = 11;

bool has_classes(const TuneConfig& config) {
  return config.problem.name == "multinomial" || config.problem.name == "cleaning";
}

PenaltyGroups penalty_groups(const std::string& name) {
  if (name == "per-weight") return PenaltyGroups::per_weight;
  return name == "per-class" ? PenaltyGroups::per_class : PenaltyGroups::shared;
}

BilevelSamples split_samples(const TuneConfig& config, const TabularSet& set, std::uint32_t seed) {
  const bool is_kept = set.test.features.rows() > 0 && config.data.test_part == "kept";
  const bool is_stacked = set.test.features.rows() > 0 && !is_kept;
  const Samples all = is_stacked ? stacked_samples(set.train, set.test) : set.train;
  SplitShares shares{.train = config.data.train_fraction, .validation = config.data.validation_fraction, .test = 0};
  const double left = 1 - shares.train - shares.validation;
  // What rounding leaves is no part.
  if (left > 1e-9) shares.test = left;
  const RowSplit rows = split_rows(all.features.rows(), shares, seed, set.name);
  BilevelSamples out{.train = select_samples(all, rows.train),
                     .validation = select_samples(all, rows.validation),
                     .test = select_samples(all, rows.test)};
  if (is_kept) out.test = rows.test.empty() ? set.test : stacked_samples(set.test, out.test);
  return out;
}

ProblemFactory problem_factory(const TuneConfig& config, const BilevelSamples& samples, int classes) {
  const PenaltyGroups groups = penalty_groups(config.problem.penalty);
  if (config.problem.name == "logistic") return [=] { return std::make_unique<LogisticRegression>(samples, groups); };
  if (config.problem.name == "least-squares")
    return [=] { return std::make_unique<NonlinearLeastSquares>(samples, groups); };
  if (config.problem.name == "multinomial")
    return [=] { return std::make_unique<MultinomialLogisticRegression>(samples, classes, groups); };
  const double penalty = config.problem.fixed_penalty;
  return [=] { return std::make_unique<DataCleaning>(samples, classes, penalty); };
}

}  // namespace

TuneData::TuneData(const TuneConfig& config, const std::filesystem::path& folder)
    : config_(config),
      set_(open_tabular(config.data.name, folder, has_classes(config) ? LabelTask::classes : LabelTask::binary)) {
  // Penalties of single weights are listed in the order of the file.
  if (config.problem.penalty != "per-weight") set_ = with_frequent_features_first(set_);
  features_ = set_.train.features.columns();
  if (config.problem.penalty != "shared" || has_classes(config)) return;
  merged_ = merge_proportional_features(set_);
  set_ = merged_->set;
}

TuneTask TuneData::task(std::uint32_t seed) const { return finished(split_samples(config_, set_, seed), seed); }

TuneTask TuneData::part(double train_fraction, std::uint32_t seed) const {
  const std::int64_t rows = set_.train.features.rows();
  const auto held_out = static_cast<std::int64_t>(std::ceil((1 - train_fraction) * static_cast<double>(rows) - 1e-9));
  require(held_out > 0 && held_out < rows, "quality.train_fraction", train_fraction, " of ", rows,
          " rows leaves an empty part");
  const TwoParts parts = hold_out(rows, held_out, seed);
  return finished({.train = select_samples(set_.train, parts.kept),
                   .validation = select_samples(set_.train, parts.held_out),
                   .test = {}},
                  seed);
}

TuneTask TuneData::finished(BilevelSamples samples, std::uint32_t seed) const {
  TuneTask out{.make_problem = {},
               .lambda = {},
               .w = {},
               .train_rows = samples.train.features.rows(),
               .validation_rows = samples.validation.features.rows(),
               .test_rows = samples.test.features.rows()};
  if (config_.data.corrupted_fraction > 0)
    out.is_corrupted = corrupt_labels(samples.train.labels, config_.data.corrupted_fraction, set_.class_count, seed);
  out.make_problem = problem_factory(config_, samples, set_.class_count);
  const std::unique_ptr<BilevelProblem> problem = out.make_problem();
  out.lambda.assign(static_cast<std::size_t>(problem->outer_size()), config_.outer.lambda);
  out.w.resize(static_cast<std::size_t>(merged_ ? features_ : problem->inner_size()));
  const RandomStream start{.seed = seed, .site = kStartSite};
  for (std::size_t i = 0; i < out.w.size(); ++i)
    out.w[i] = config_.outer.start_deviation * normal(start, static_cast<std::int64_t>(i));
  if (merged_) out.w = merged_->coordinates(out.w);
  return out;
}

double cleaning_precision(const std::vector<double>& lambda, const std::vector<bool>& is_corrupted) {
  check(lambda.size() == is_corrupted.size(), "cleaning precision", lambda.size(), " weights for ", is_corrupted.size(),
        " samples");
  std::vector<std::size_t> order(lambda.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return lambda[a] < lambda[b]; });
  const auto corrupted = static_cast<std::size_t>(std::count(is_corrupted.begin(), is_corrupted.end(), true));
  if (corrupted == 0) return 1;
  std::size_t found = 0;
  for (std::size_t i = 0; i < corrupted; ++i) found += is_corrupted[order[i]] ? 1U : 0U;
  return static_cast<double>(found) / static_cast<double>(corrupted);
}

}  // namespace deq
