#include "train/run_report.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <iomanip>
#include <sstream>

#include "core/error.h"
#include "train/build_info.h"
#include "train/config_value.h"
#include "train/figure.h"
#include "train/markup.h"
#include "train/run_figure.h"

namespace deq {

namespace {

constexpr const char* kNone = "–";

constexpr const char* kStyle = R"(
body { font-family: system-ui, sans-serif; color: #222; background: #fff; max-width: 1280px; margin: 2rem auto;
       padding: 0 1rem; line-height: 1.45; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .9rem .3rem 0; border-bottom: 1px solid #ddd; text-align: left; vertical-align: top; }
thead th { border-bottom: 2px solid #222; } tbody th { font-weight: normal; color: #555; }
svg { width: 100%; height: auto; } summary { cursor: pointer; } footer, .notes { color: #555; font-size: .9rem; }
)";

std::string rounded(double value, int digits, const char* unit) {
  if (!std::isfinite(value)) return kNone;
  std::ostringstream out;
  out << std::fixed << std::setprecision(digits) << value << unit;
  return out.str();
}

std::string percent(double share) { return rounded(100 * share, 2, " %"); }

/// 158,890
std::string grouped(std::int64_t value) {
  std::string out = std::to_string(value);
  for (int at = static_cast<int>(out.size()) - 3; at > 0; at -= 3) out.insert(static_cast<std::size_t>(at), ",");
  return out;
}

std::string duration(double seconds) {
  if (!std::isfinite(seconds)) return kNone;
  const auto all = static_cast<std::int64_t>(std::llround(seconds));
  if (all < 60) return rounded(seconds, 1, " s");
  if (all < 3600) return concat(all / 60, " min ", all % 60, " s");
  return concat(all / 3600, " h ", all % 3600 / 60, " min");
}

/// Best and last of a measure over the evaluations on the test set.
struct Reached {
  double last = std::numeric_limits<double>::quiet_NaN();
  double best = std::numeric_limits<double>::quiet_NaN();
  std::int64_t best_step = 0;
};

Reached reached(const RunHistory& run, double EvaluationRecord::*measure) {
  Reached out;
  for (const EvaluationRecord& record : run.evaluations) {
    const double value = record.*measure;
    if (record.split != "test" || !std::isfinite(value)) continue;
    out.last = value;
    if (out.best >= value) continue;
    out.best = value;
    out.best_step = record.step;
  }
  return out;
}

Reached accuracy_of(const RunHistory& run) {
  if (!run.summary) return reached(run, &EvaluationRecord::accuracy);
  return {run.summary->test_accuracy, run.summary->best_accuracy, run.summary->best_step};
}

Reached miou_of(const RunHistory& run) {
  if (!run.summary) return reached(run, &EvaluationRecord::miou);
  return {run.summary->test_miou, run.summary->best_miou, run.summary->best_step};
}

std::string steps_of(const RunHistory& run) {
  if (!run.summary) return grouped(run.training.back().step) + ", not ended";
  const RunSummary& summary = *run.summary;
  return grouped(summary.steps) + (summary.steps < summary.total_steps ? " of " + grouped(summary.total_steps) : "");
}

std::string estimators_text(const RunHistory& run) {
  std::string out;
  for (const std::string& name : estimators_of(run)) out += (out.empty() ? "" : ", then ") + name;
  return out.empty() ? kNone : out;
}

template <class Value>
RunFact fact(std::string name, std::span<const RunHistory> runs, const Value& value) {
  RunFact out{std::move(name), {}};
  for (const RunHistory& run : runs) out.values.push_back(value(run));
  return out;
}

template <class Value>
std::string of_summary(const RunHistory& run, const Value& value) {
  return run.summary ? value(*run.summary) : kNone;
}

void add_best(std::string measure, std::span<const RunHistory> runs, Reached (*value)(const RunHistory&),
              std::vector<RunFact>& out) {
  out.push_back(fact("final " + measure, runs, [&](const RunHistory& run) { return percent(value(run).last); }));
  out.push_back(fact("best " + measure, runs, [&](const RunHistory& run) {
    const Reached found = value(run);
    if (!std::isfinite(found.best)) return std::string(kNone);
    return concat(percent(found.best), " at step ", grouped(found.best_step));
  }));
}

/// As a text that names the key's value; "–" where the configuration is not known.
std::string config_value(const RunHistory& run, const ConfigKey& key) {
  if (!run.config) return kNone;
  Config config = *run.config;
  return value_text(key.field(config));
}

std::string table(std::span<const RunHistory> runs, const std::vector<RunFact>& facts) {
  std::ostringstream out;
  out << "<table>\n<thead><tr><th></th>";
  for (const RunHistory& run : runs) out << "<th>" << escaped_markup(run.name) << "</th>";
  out << "</tr></thead>\n<tbody>\n";
  for (const RunFact& row : facts) {
    out << "<tr><th>" << escaped_markup(row.name) << "</th>";
    for (const std::string& value : row.values) out << "<td>" << escaped_markup(value) << "</td>";
    out << "</tr>\n";
  }
  out << "</tbody>\n</table>\n";
  return out.str();
}

std::string notes(std::span<const RunHistory> runs) {
  std::ostringstream out;
  for (const RunHistory& run : runs)
    for (const std::string& note : run.notes) out << "<li>" << escaped_markup(note) << "</li>\n";
  return out.str().empty() ? "" : concat("<ul class=\"notes\">\n", out.str(), "</ul>\n");
}

std::string configuration(std::span<const RunHistory> runs) {
  const std::vector<RunFact> facts = config_facts(runs);
  const bool is_known =
      std::any_of(runs.begin(), runs.end(), [](const RunHistory& run) { return run.config.has_value(); });
  if (!is_known) return "";
  if (runs.size() == 1)
    return concat("<h2>Configuration</h2>\n<details><summary>", facts.size(), " keys</summary>\n", table(runs, facts),
                  "</details>\n");
  return concat("<h2>Differences of configuration</h2>\n",
                facts.empty() ? std::string("<p>None: the configurations are the same.</p>\n") : table(runs, facts));
}

}  // namespace

std::vector<RunFact> run_facts(std::span<const RunHistory> runs) {
  std::vector<RunFact> out;
  add_best("test accuracy", runs, &accuracy_of, out);
  const auto has_miou = [](const RunHistory& run) { return std::isfinite(miou_of(run).best); };
  if (std::any_of(runs.begin(), runs.end(), has_miou)) add_best("test mIoU", runs, &miou_of, out);
  out.push_back(fact("steps", runs, &steps_of));
  out.push_back(fact("last training loss", runs, [](const RunHistory& run) {
    return rounded(run.summary ? run.summary->train_loss : run.training.back().loss, 4, "");
  }));
  out.push_back(fact("gradient estimator", runs, &estimators_text));
  const auto add = [&](const char* name, const std::function<std::string(const RunSummary&)>& value) {
    out.push_back(fact(name, runs, [&](const RunHistory& run) { return of_summary(run, value); }));
  };
  add("time", [](const RunSummary& summary) { return duration(summary.seconds); });
  add("parameters", [](const RunSummary& summary) { return grouped(summary.parameters); });
  add("largest memory", [](const RunSummary& summary) {
    return rounded(static_cast<double>(summary.peak_bytes) / (1 << 20), 0, " MiB");
  });
  add("device", [](const RunSummary& summary) { return summary.device; });
  return out;
}

std::vector<RunFact> config_facts(std::span<const RunHistory> runs) {
  std::vector<RunFact> out;
  for (const ConfigKey& key : config_keys()) {
    RunFact row = fact(std::string(key.name), runs, [&](const RunHistory& run) { return config_value(run, key); });
    const bool is_same = std::all_of(row.values.begin(), row.values.end(),
                                     [&](const std::string& value) { return value == row.values.front(); });
    if (runs.size() == 1 || !is_same) out.push_back(std::move(row));
  }
  return out;
}

std::string run_report(std::span<const RunHistory> runs) {
  const Figure figure = run_figure(runs);
  std::string svg = figure_svg(figure);
  svg.erase(0, svg.find("<svg"));  // the XML declaration has no place inside HTML
  return concat("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>",
                escaped_markup(figure.title), "</title>\n<style>", kStyle, "</style>\n</head>\n<body>\n<h1>",
                escaped_markup(figure.title), "</h1>\n", table(runs, run_facts(runs)), notes(runs), "<h2>Curves</h2>\n",
                svg, configuration(runs), "<footer>Drawn by deq ", build_info().version,
                ".</footer>\n</body>\n</html>\n");
}

}  // namespace deq
