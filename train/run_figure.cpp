#include "train/run_figure.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <set>

#include "core/error.h"
#include "train/smooth.h"

namespace deq {

namespace {

constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();
constexpr int kWidth = 620;
constexpr int kHeight = 340;
constexpr std::size_t kFewest = 24;       // values that are worth smoothing
constexpr int kWindows = 30;              // of the running mean, side by side over a whole run
constexpr std::size_t kMostDrawn = 3000;  // values of a line

using TrainingValue = std::function<double(const StepRecord&)>;
using EvaluationValue = std::function<double(const EvaluationRecord&)>;

/// What one panel shows of a run; an empty function: nothing.
struct PanelKind {
  std::string title;
  std::string y;
  bool is_log = false;
  TrainingValue training;
  EvaluationValue evaluation;
  bool is_smoothed = true;  ///< noisy from step to step
  bool has_zero = false;    ///< the axis starts at 0
};

/// A value that the axis can show.
double shown(double value, bool is_log) { return std::isfinite(value) && (!is_log || value > 0) ? value : kUnknown; }

bool has_finite(const std::vector<double>& values) {
  return std::any_of(values.begin(), values.end(), [](double value) { return std::isfinite(value); });
}

double largest(const Chart& chart) {
  double out = 0;
  for (const ChartSeries& series : chart.series)
    for (const double value : series.y)
      if (value > out) out = value;
  return out > 0 ? out : 1;
}

/// Fills panels with the series of runs.
class Panels {
 public:
  explicit Panels(std::span<const RunHistory> runs) : runs_(runs) {
    for (const RunHistory& run : runs) {
      last_ = std::max(last_, static_cast<double>(run.training.back().step));
      if (!run.evaluations.empty()) last_ = std::max(last_, static_cast<double>(run.evaluations.back().step));
    }
  }

  void add(const PanelKind& kind) {
    Chart chart{.title = kind.title,
                .x = {.label = "training step", .range = ChartRange{0, 1.02 * std::max(1.0, last_)}},
                .y = {.label = kind.y, .is_log = kind.is_log},
                .series = {},
                .width = kWidth,
                .height = kHeight,
                .marks = phase_marks(),
                .has_legend_above = true};
    for (std::size_t i = 0; i < runs_.size(); ++i) {
      if (kind.training) add_training(kind, i, chart);
      if (kind.evaluation) add_evaluations(kind, i, chart);
    }
    if (chart.series.empty()) return;
    if (kind.has_zero) chart.y.range = ChartRange{0, 1.1 * largest(chart)};
    panels_.push_back(std::move(chart));
  }

  [[nodiscard]] std::vector<Chart> take() { return std::move(panels_); }

 private:
  [[nodiscard]] bool is_alone() const { return runs_.size() == 1; }

  /// Where pre-training ends, once for all runs that agree.
  [[nodiscard]] std::vector<ChartMark> phase_marks() const {
    std::set<std::int64_t> steps;
    for (const RunHistory& run : runs_) {
      const auto is_equilibrium = [](const StepRecord& record) { return !record.is_pretraining; };
      const auto first = std::find_if(run.training.begin(), run.training.end(), is_equilibrium);
      if (first != run.training.begin() && first != run.training.end()) steps.insert(first->step);
    }
    std::vector<ChartMark> out;
    // The name once, because elsewhere it may stand on data.
    const bool is_named = panels_.empty();
    for (const std::int64_t step : steps)
      out.push_back({static_cast<double>(step), is_named && out.empty() ? "equilibrium" : ""});
    return out;
  }

  void add_training(const PanelKind& kind, std::size_t place, Chart& chart) const {
    const RunHistory& run = runs_[place];
    ChartSeries raw{.name = {}, .x = {}, .y = {}, .look = is_alone() ? 0 : place};
    std::vector<int> phase;
    for (const StepRecord& record : run.training) {
      raw.x.push_back(static_cast<double>(record.step));
      raw.y.push_back(shown(kind.training(record), kind.is_log));
      phase.push_back(record.is_pretraining ? 1 : 0);
    }
    if (!has_finite(raw.y)) return;
    ChartSeries mean = raw;
    const bool is_smoothed = kind.is_smoothed && raw.y.size() >= kFewest;
    mean.name = is_alone() ? (kind.evaluation ? "training" : "") : kind.evaluation ? run.name + ", training" : run.name;
    mean.is_dashed = !is_alone() && kind.evaluation;
    if (is_smoothed) {
      const int reach = std::max(2, static_cast<int>(raw.y.size()) / (2 * kWindows));
      mean.y = running_mean(raw.y, phase, reach, kind.is_log);
      raw.is_faint = true;
      // Pale values of several runs would only hide each other.
      if (is_alone() || !kind.evaluation) chart.series.push_back(drawn(raw));
    }
    chart.series.push_back(drawn(mean));
  }

  void add_evaluations(const PanelKind& kind, std::size_t place, Chart& chart) const {
    const RunHistory& run = runs_[place];
    std::set<std::string> splits;
    for (const EvaluationRecord& record : run.evaluations) splits.insert(record.split);
    std::size_t look = is_alone() ? 1 : place;
    for (const std::string& split : splits) {
      ChartSeries series{.name = is_alone() ? split : concat(run.name, ", ", split), .x = {}, .y = {}, .look = look};
      if (is_alone()) ++look;
      for (const EvaluationRecord& record : run.evaluations) {
        if (record.split != split) continue;
        series.x.push_back(static_cast<double>(record.step));
        series.y.push_back(shown(kind.evaluation(record), kind.is_log));
      }
      if (has_finite(series.y)) chart.series.push_back(std::move(series));
    }
  }

  /// The series with no more points than can be seen.
  static ChartSeries drawn(const ChartSeries& series) {
    ChartSeries out = series;
    out.x.clear();
    out.y.clear();
    for (const std::size_t i : thinned(series.y, kMostDrawn)) {
      out.x.push_back(series.x[i]);
      out.y.push_back(series.y[i]);
    }
    return out;
  }

  std::span<const RunHistory> runs_;
  double last_ = 0;
  std::vector<Chart> panels_;
};

/// A measure that is zero or absent all through is not worth a panel.
double unless_zero(double value) { return value == 0 ? kUnknown : value; }

bool any_positive(std::span<const RunHistory> runs, const TrainingValue& value) {
  return std::any_of(runs.begin(), runs.end(), [&](const RunHistory& run) {
    return std::any_of(run.training.begin(), run.training.end(),
                       [&](const StepRecord& record) { return value(record) > 0; });
  });
}

void add_quality(Panels& panels) {
  panels.add({.title = "Loss",
              .y = "loss",
              .training = [](const StepRecord& record) { return record.loss; },
              .evaluation = [](const EvaluationRecord& record) { return record.loss; }});
  panels.add({.title = "Accuracy",
              .y = "accuracy (%)",
              .training = [](const StepRecord& record) { return 100 * record.accuracy; },
              .evaluation = [](const EvaluationRecord& record) { return 100 * record.accuracy; }});
  panels.add({.title = "Mean intersection over union",
              .y = "mIoU (%)",
              .training = {},
              .evaluation = [](const EvaluationRecord& record) { return 100 * record.miou; }});
}

void add_forward(Panels& panels) {
  panels.add({.title = "Residual of the forward solve",
              .y = "relative residual",
              .is_log = true,
              .training = [](const StepRecord& record) { return record.forward.residual; },
              .evaluation = [](const EvaluationRecord& record) { return record.forward.residual; }});
  panels.add({.title = "Steps of the forward solve",
              .y = "steps",
              .training = [](const StepRecord& record) { return unless_zero(record.forward.steps); },
              .evaluation = [](const EvaluationRecord& record) { return unless_zero(record.forward.steps); },
              .has_zero = true});
  panels.add({.title = "Spectral radius of the Jacobian at z*",
              .y = "mean over images",
              .training = {},
              .evaluation = [](const EvaluationRecord& record) { return record.spectral.mean; }});
}

void add_backward(Panels& panels, std::span<const RunHistory> runs) {
  panels.add({.title = "Residual of the backward solve",
              .y = "relative residual",
              .is_log = true,
              .training = [](const StepRecord& record) { return record.backward.residual; },
              .evaluation = {}});
  const TrainingValue calls = [](const StepRecord& record) { return static_cast<double>(record.backward.calls); };
  if (any_positive(runs, calls))
    panels.add(
        {.title = "Cost of the gradient estimator", .y = "products with J^T", .training = calls, .evaluation = {}});
  const TrainingValue fallbacks = [](const StepRecord& record) { return 100 * record.backward.fallback_fraction; };
  if (any_positive(runs, fallbacks))
    panels.add(
        {.title = "Samples whose estimate fell back", .y = "share (%)", .training = fallbacks, .evaluation = {}});
  panels.add({.title = "Jacobian penalty",
              .y = "penalty",
              .training = [](const StepRecord& record) { return record.jacobian_penalty; },
              .evaluation = {}});
}

std::string figure_title(std::span<const RunHistory> runs) {
  if (runs.size() > 1) return concat(runs.size(), " training runs");
  const RunHistory& run = runs.front();
  if (!run.config) return run.name;
  std::string out = concat(run.config->model.name, " on ", run.config->data.name);
  const std::vector<std::string> estimators = estimators_of(run);
  if (!estimators.empty()) out += concat(", solver ", run.config->solver.name, ", gradient ", estimators.back());
  return out;
}

}  // namespace

Figure run_figure(std::span<const RunHistory> runs) {
  Panels panels(runs);
  add_quality(panels);
  add_forward(panels);
  add_backward(panels, runs);
  panels.add({.title = "Learning rate",
              .y = "learning rate",
              .training = [](const StepRecord& record) { return record.lr; },
              .evaluation = {},
              .is_smoothed = false,
              .has_zero = true});
  panels.add({.title = "Speed of training",
              .y = "images per second",
              .training = [](const StepRecord& record) { return record.images_per_s; },
              .evaluation = {},
              .has_zero = true});
  Figure figure{.title = figure_title(runs), .panels = panels.take()};
  check(!figure.panels.empty(), "plot", "no record of ", runs.front().folder.string(), " holds a finite value");
  return figure;
}

}  // namespace deq
