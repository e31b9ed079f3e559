#include "train/run_history.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "core/error.h"
#include "train/json_text.h"

namespace deq {

namespace {

using Json = nlohmann::ordered_json;

constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

/// The values of one JSON object, with messages that name its place.
class Record {
 public:
  Record(const Json& json, std::string place) : json_(json), place_(std::move(place)) {
    require(json_.is_object(), place_, "is ", shown(json_), ", expected a JSON object");
  }

  /// Not-a-number when absent or null.
  [[nodiscard]] double number(const char* key) const {
    const Json value = json_.value(key, Json());
    require(value.is_null() || value.is_number(), place_, "'", key, "' is ", shown(value), ", expected a number");
    return value.is_null() ? kUnknown : value.get<double>();
  }
  [[nodiscard]] std::int64_t integer(const char* key, std::int64_t absent) const {
    const Json value = json_.value(key, Json(absent));
    require(value.is_number_integer(), place_, "'", key, "' is ", shown(value), ", expected an integer");
    return value.get<std::int64_t>();
  }
  [[nodiscard]] std::string text(const char* key) const {
    const Json value = json_.value(key, Json(""));
    require(value.is_string(), place_, "'", key, "' is ", shown(value), ", expected a string");
    return value.get<std::string>();
  }
  [[nodiscard]] bool has(const char* key) const { return json_.contains(key) && !json_[key].is_null(); }
  /// An empty object when absent.
  [[nodiscard]] Json part(const char* key) const { return has(key) ? json_[key] : Json::object(); }
  [[nodiscard]] const std::string& place() const { return place_; }

 private:
  static std::string shown(const Json& value) {
    constexpr std::size_t kMost = 40;
    const std::string all = value.dump(-1, ' ', false, Json::error_handler_t::replace);
    return all.size() <= kMost ? all : all.substr(0, kMost) + "...";
  }

  const Json& json_;
  std::string place_;
};

SolveMetrics solve_of(const Record& record, const char* key) {
  const Json json = record.part(key);
  const Record solve(json, concat(record.place(), ": '", key, "'"));
  SolveMetrics out;
  out.steps = solve.number("steps");
  out.residual = solve.number("residual");
  out.fallback_fraction = solve.number("fallback_fraction");
  out.calls = solve.integer("calls", 0);
  return out;
}

StepRecord step_of(const Record& record) {
  const Json backward = record.part("backward");
  return {.step = record.integer("step", 0),
          .epoch = record.integer("epoch", 0),
          .is_pretraining = record.text("phase") == phase_name(true),
          .loss = record.number("loss"),
          .accuracy = record.number("accuracy"),
          .lr = record.number("lr"),
          .images_per_s = record.number("images_per_s"),
          .forward = solve_of(record, "forward"),
          .estimator = Record(backward, concat(record.place(), ": 'backward'")).text("estimator"),
          .backward = solve_of(record, "backward"),
          .jacobian_weight = record.number("jacobian_weight"),
          .jacobian_penalty = record.number("jacobian_penalty")};
}

EvaluationRecord evaluation_of(const Record& record) {
  const Json radius = record.part("spectral_radius");
  const Record spectral(radius, concat(record.place(), ": 'spectral_radius'"));
  return {.step = record.integer("step", 0),
          .epoch = record.integer("epoch", 0),
          .is_pretraining = record.text("phase") == phase_name(true),
          .split = record.text("split"),
          .loss = record.number("loss"),
          .accuracy = record.number("accuracy"),
          .images = record.integer("images", 0),
          .images_per_s = record.number("images_per_s"),
          .forward = solve_of(record, "forward"),
          .spectral = {.mean = spectral.number("mean"), .max = spectral.number("max")},
          .miou = record.number("miou")};
}

std::string text_of(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  require(in.good(), file.string(), "cannot be read");
  return text.str();
}

void read_metrics(const std::filesystem::path& file, RunHistory& run) {
  const std::string all = text_of(file);
  std::size_t begin = 0;
  for (int number = 1; begin < all.size(); ++number) {
    const std::size_t end = std::min(all.find('\n', begin), all.size());
    const std::string line = all.substr(begin, end - begin);
    const bool has_end = end < all.size();
    begin = end + 1;
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    const Json json = parse_json<Json>(line);
    const std::string place = concat(file.string(), ":", number);
    if (json.is_discarded() && !has_end) {
      run.notes.push_back(place + ": the last line is cut off and was skipped");
      continue;
    }
    require(!json.is_discarded(), place, "is not JSON: '", line.substr(0, 60), line.size() > 60 ? "...'" : "'");
    const Record record(json, place);
    require(record.has("step"), place, "has no 'step', so it is no record of a training run");
    if (record.has("split"))
      run.evaluations.push_back(evaluation_of(record));
    else
      run.training.push_back(step_of(record));
  }
}

/// A summary of an earlier stretch of a run that was resumed says nothing about where the run is now.
void read_summary(const std::filesystem::path& file, RunHistory& run) {
  const Json json = parse_json<Json>(text_of(file));
  require(!json.is_discarded(), file.string(), "is not JSON");
  const Record record(json, file.string());
  RunSummary out{.config_name = record.text("config"),
                 .steps = record.integer("steps", 0),
                 .total_steps = record.integer("total_steps", 0),
                 .parameters = record.integer("parameters", 0),
                 .peak_bytes = record.integer("peak_bytes", 0),
                 .seconds = record.number("seconds"),
                 .images_per_s = record.number("images_per_s"),
                 .train_loss = record.number("train_loss"),
                 .test_loss = record.number("test_loss"),
                 .test_accuracy = record.number("test_accuracy"),
                 .best_accuracy = record.number("best_accuracy"),
                 .test_miou = record.number("test_miou"),
                 .best_miou = record.number("best_miou"),
                 .best_step = record.integer("best_step", 0),
                 .device = record.text("device")};
  const std::int64_t reached = run.training.back().step;
  if (out.steps < reached)
    run.notes.push_back(concat(file.string(), ": of step ", out.steps, ", while the run has reached step ", reached,
                               "; the table is of the records"));
  else
    run.summary = out;
}

std::string folder_name(const std::filesystem::path& folder) {
  const std::filesystem::path whole = std::filesystem::weakly_canonical(folder);
  return whole.filename().empty() ? whole.string() : whole.filename().string();
}

}  // namespace

RunHistory read_run_history(const std::filesystem::path& folder) {
  require(std::filesystem::is_directory(folder), folder.string(),
          "is no folder; give the folder of a run, as deq train --out was given");
  const std::filesystem::path metrics = folder / "metrics.jsonl";
  require(std::filesystem::is_regular_file(metrics), folder.string(),
          "holds no metrics.jsonl; give the folder of a run, as deq train --out was given");
  RunHistory run{.folder = folder, .name = folder_name(folder)};
  read_metrics(metrics, run);
  require(!run.training.empty(), metrics.string(), "holds no training step yet");
  if (std::filesystem::is_regular_file(folder / "config.toml")) try {
      run.config = load_config(folder / "config.toml");
    } catch (const RequestError& error) {
      run.notes.push_back(concat("the configuration is left out: ", error.what()));
    }
  if (std::filesystem::is_regular_file(folder / "summary.json")) read_summary(folder / "summary.json", run);
  return run;
}

std::vector<RunHistory> read_run_histories(std::span<const std::filesystem::path> folders) {
  std::vector<RunHistory> out;
  std::set<std::filesystem::path> seen;
  std::set<std::string> names;
  for (const std::filesystem::path& folder : folders) {
    require(seen.insert(std::filesystem::weakly_canonical(folder)).second, folder.string(), "is given twice");
    out.push_back(read_run_history(folder));
    names.insert(out.back().name);
  }
  if (names.size() < out.size())
    for (RunHistory& run : out) run.name = run.folder.lexically_normal().string();
  return out;
}

std::vector<std::string> estimators_of(const RunHistory& run) {
  std::vector<std::string> out;
  for (const StepRecord& record : run.training)
    if (!record.estimator.empty() && std::find(out.begin(), out.end(), record.estimator) == out.end())
      out.push_back(record.estimator);
  return out;
}

}  // namespace deq
