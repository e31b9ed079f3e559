#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "solvers/bilevel/hoag.h"
#include "train/tune_config.h"
#include "train/tune_task.h"
#include "train/tune_trace.h"

namespace deq {

/// Names of a comma-separated list, spaces around them dropped.
/// Errors: RequestError, starting with `place`, for a name that is no method (with the nearest one), one that comes
/// twice, or an empty list.
std::vector<std::string> method_list(const std::string& text, const std::string& place);

/// What the configuration says about the outer loop with this method. `task` outlives what is returned.
HoagOptions hoag_options(const TuneConfig& config, const MethodPreset& preset, const TuneTask& task,
                         std::uint64_t seed);

/// Runs one method on one seed.
TuneTrace run_method(const TuneConfig& config, const TuneTask& task, const std::string& method, std::int64_t seed,
                     const OuterObserver& observer);

/// Which runs are asked for and where their traces are kept.
struct TuneRuns {
  std::vector<std::string> methods;
  std::int64_t first_seed = 0;
  int seeds = 1;
  std::filesystem::path out;
  std::function<void(const TuneTrace&, const OuterPoint&, std::int64_t done, std::int64_t total)> progress = {};
  std::function<void(const std::string&)> note = {};
  std::function<bool()> is_stopped = {};
};

/// Makes `out` a folder of this configuration: writes config.toml, or compares it with the one that traces there were
/// made with. What only says how much is run or how it is shown (methods, seeds, measure) may differ.
/// Errors: RequestError naming the first key that differs, or a folder that holds something else or cannot be made.
void prepare_tune_folder(const TuneConfig& config, const std::filesystem::path& out);

/// Runs every method on every seed whose trace is not there yet, seed by seed, and keeps each trace when it is
/// finished. @returns all traces, seed by seed, or those there are when stopped
std::vector<TuneTrace> run_tune(const TuneConfig& config, const TuneData& data, const TuneRuns& runs);

}  // namespace deq
