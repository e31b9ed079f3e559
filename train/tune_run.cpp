#include "train/tune_run.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <sstream>

#include "core/error.h"
#include "data/npy.h"
#include "solvers/bilevel/search.h"
#include "train/durable_file.h"
#include "train/nearest.h"
#include "train/output_folder.h"

namespace deq {
namespace {

constexpr std::array<std::string_view, 16> kMethodNames = {
    "hoag",    "hoag-limited", "shine", "shine-opa", "shine-refine", "shine-probes", "shine-probes-5", "jfb",
    "nystrom", "nystrom-20",   "esj",   "esj-10",    "unrolled",     "unrolled-20",  "grid",           "random"};

ToleranceDecay decay_named(const std::string& name) {
  if (name == "quadratic") return ToleranceDecay::quadratic;
  if (name == "cubic") return ToleranceDecay::cubic;
  return name == "exact" ? ToleranceDecay::exact : ToleranceDecay::exponential;
}

OuterStep outer_step(const TuneOuterConfig& outer) {
  if (outer.optimizer == "gd") return GradientDescent{.rate = outer.rate};
  if (outer.optimizer == "adam") return AdamDescent{.rate = outer.rate};
  if (outer.optimizer == "elra") return ElraDescent{};
  const bool is_clean = outer.optimizer == "adaptive-clean";
  return AdaptiveStepOptions{.form = is_clean ? AdaptiveForm::clean : AdaptiveForm::executed, .bound = outer.bound};
}

LbfgsOptions inner_options(const TuneInnerConfig& inner) {
  return {.max_iterations = inner.max_iterations,
          .line_search = {.curvature = inner.curvature, .max_evaluations = inner.max_evaluations}};
}

InitialInverse initial_inverse(const TuneInnerConfig& inner) {
  return inner.initial_inverse == "scaled" ? InitialInverse::scaled : InitialInverse::identity;
}

PairPrecision pair_precision(const TuneInnerConfig& inner) {
  return inner.pairs == "single" ? PairPrecision::single_precision : PairPrecision::double_precision;
}

OuterResult search(const TuneConfig& config, BilevelProblem& problem, const TuneTask& task, const MethodPreset& preset,
                   std::int64_t seed, const OuterObserver& observer) {
  const TuneOuterConfig& outer = config.outer;
  const bool is_grid = std::holds_alternative<GridSearch>(preset.method);
  const auto candidates = is_grid ? grid_candidates(outer.search_points, outer.bound, problem.outer_size())
                                  : random_candidates(outer.search_points, outer.bound, problem.outer_size(),
                                                      static_cast<std::uint64_t>(seed));
  SearchOptions options{.inner = inner_options(config.inner),
                        .memory = config.inner.memory > 0 ? config.inner.memory : preset.memory,
                        .initial = initial_inverse(config.inner),
                        .precision = pair_precision(config.inner)};
  options.inner.tolerance = outer.search_tolerance;
  return run_search(problem, candidates, task.lambda, task.w, options, observer);
}

/// lambda of more entries than a trace lists, as METHOD-seedN.npy beside the trace.
void write_lambda(const std::filesystem::path& trace, const std::vector<double>& lambda) {
  auto file = trace;
  file.replace_extension(".npy");
  std::vector<float> values(lambda.begin(), lambda.end());
  write_npy(file, Tensor::of<float>(Shape{static_cast<std::int64_t>(values.size())}, values));
}

/// What two runs must have in common to stand in one folder.
TuneConfig comparable(TuneConfig config) {
  const TuneOuterConfig plain;
  config.outer.methods = plain.methods;
  config.outer.seeds = plain.seeds;
  config.outer.measure = plain.measure;
  config.data.path = {};
  config.quality = {};
  return config;
}

/// The configuration of the runs that `out` holds.
TuneConfig configuration_of(const std::filesystem::path& out) {
  try {
    return load_tune_config(out / "config.toml");
  } catch (const RequestError& failure) {
    throw RequestError(concat(out.string(), ": holds something else than runs of deq tune (", failure.what(),
                              "); give another --out"));
  }
}

TuneTrace kept_trace(const std::filesystem::path& file, const std::string& method, std::int64_t seed) {
  TuneTrace out = read_trace(file);
  require(out.method == method && out.seed == seed, file.string(), "is the trace of ", out.method, ", seed ", out.seed,
          "; delete it to have ", method, ", seed ", seed, " run again");
  return out;
}

bool holds_traces(const std::filesystem::path& folder) {
  if (!std::filesystem::is_directory(folder)) return false;
  return std::ranges::any_of(std::filesystem::directory_iterator(folder),
                             [](const auto& entry) { return entry.path().extension() == ".json"; });
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> out;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) out.push_back(line);
  return out;
}

}  // namespace

std::vector<std::string> method_list(const std::string& text, const std::string& place) {
  std::vector<std::string> out;
  std::istringstream in(text);
  for (std::string name; std::getline(in, name, ',');) {
    name.erase(0, name.find_first_not_of(' '));
    name.erase(name.find_last_not_of(' ') + 1);
    require(method_preset(name).has_value(), place, "unknown method '", name, "'; did you mean '",
            nearest_name(name, kMethodNames), "'? (one of ", method_preset_names(), ")");
    require(std::find(out.begin(), out.end(), name) == out.end(), place, "method '", name, "' is listed twice");
    out.push_back(name);
  }
  require(!out.empty(), place, "no method is named; expected some of ", method_preset_names());
  return out;
}

HoagOptions hoag_options(const TuneConfig& config, const MethodPreset& preset, const TuneTask& task,
                         std::uint64_t seed) {
  const TuneInnerConfig& inner = config.inner;
  HoagOptions out{.lower = {.method = preset,
                            .inner = inner_options(inner),
                            .initial = initial_inverse(inner),
                            .precision = pair_precision(inner),
                            .carries_memory = inner.carries_memory,
                            .seed = seed,
                            .make_problem = task.make_problem},
                  .tolerance = {.decay = decay_named(inner.decay),
                                .initial = inner.tolerance,
                                .factor = inner.factor > 0 ? inner.factor : preset.tolerance_factor,
                                .floor = inner.floor},
                  .step = outer_step(config.outer),
                  .points = config.outer.points,
                  .bound = config.outer.bound};
  if (inner.memory > 0) out.lower.method.memory = inner.memory;
  return out;
}

TuneTrace run_method(const TuneConfig& config, const TuneTask& task, const std::string& method, std::int64_t seed,
                     const OuterObserver& observer) {
  const MethodPreset preset = *method_preset(method);
  const std::unique_ptr<BilevelProblem> problem = task.make_problem();
  const bool is_search =
      std::holds_alternative<GridSearch>(preset.method) || std::holds_alternative<RandomSearch>(preset.method);
  OuterResult result = is_search
                           ? search(config, *problem, task, preset, seed, observer)
                           : run_hoag(*problem, task.lambda, task.w,
                                      hoag_options(config, preset, task, static_cast<std::uint64_t>(seed)), observer);
  TuneTrace out{.method = method,
                .seed = seed,
                .status = std::string(name_of(result.status)),
                .lambda_size = problem->outer_size(),
                .points = std::move(result.trace)};
  if (out.lambda_size > kLargestLambdaList)
    for (OuterPoint& point : out.points) point.lambda = lambda_summary(std::move(point.lambda));
  if (config.problem.name == "cleaning" && !task.is_corrupted.empty())
    out.cleaning_precision = cleaning_precision(result.lambda, task.is_corrupted);
  return out;
}

void prepare_tune_folder(const TuneConfig& config, const std::filesystem::path& out) {
  const std::filesystem::path file = out / "config.toml", traces = out / "traces";
  const std::string wanted = write_tune_config(comparable(config));
  bool has_traces = false;
  if (std::filesystem::exists(file)) {
    const std::string found = write_tune_config(comparable(configuration_of(out)));
    has_traces = holds_traces(traces);
    const std::vector<std::string> ours = lines_of(wanted), theirs = lines_of(found);
    for (std::size_t i = 0; has_traces && i < std::min(ours.size(), theirs.size()); ++i)
      require(ours[i] == theirs[i], out.string(), "holds runs with '", theirs[i], "' but this configuration has '",
              ours[i], "'; give another --out or the same configuration");
  }
  make_output_folder(out);
  make_output_folder(traces);
  if (!has_traces) write_durably(file, wanted);
}

std::vector<TuneTrace> run_tune(const TuneConfig& config, const TuneData& data, const TuneRuns& runs) {
  std::vector<TuneTrace> out;
  const std::int64_t total = static_cast<std::int64_t>(runs.methods.size()) * runs.seeds;
  std::int64_t done = 0;
  for (std::int64_t seed = runs.first_seed; seed < runs.first_seed + runs.seeds; ++seed) {
    std::optional<TuneTask> task;
    for (const std::string& method : runs.methods) {
      if (runs.is_stopped && runs.is_stopped()) return out;
      const std::filesystem::path file = trace_file(runs.out, method, seed);
      if (std::filesystem::exists(file)) {
        out.push_back(kept_trace(file, method, seed));
        ++done;
        continue;
      }
      if (!task) task = data.task(static_cast<std::uint32_t>(seed));
      const TuneTrace header{.method = method, .seed = seed, .status = {}, .lambda_size = 1, .points = {}};
      std::vector<double> last_lambda;
      const OuterObserver observer{.observe =
                                       [&](const OuterPoint& point) {
                                         last_lambda = point.lambda;
                                         if (runs.progress) runs.progress(header, point, done, total);
                                       },
                                   .is_stopped = runs.is_stopped};
      TuneTrace trace = run_method(config, *task, method, seed, observer);
      if (trace.status == name_of(OuterStatus::stopped)) return out;
      if (trace.lambda_size > kLargestLambdaList) write_lambda(file, last_lambda);
      write_trace(file, trace);
      if (runs.note && trace.status == name_of(OuterStatus::nonfinite))
        runs.note(
            concat(method, ", seed ", seed, ": inf or nan appeared in outer iteration ", trace.points.back().outer));
      out.push_back(std::move(trace));
      ++done;
    }
  }
  return out;
}

}  // namespace deq
