#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "train/commands/options.h"
#include "train/config.h"

namespace deq {

/// deq train CONFIG.toml
struct TrainRequest {
  RunOptions run;
  std::filesystem::path config;
  std::filesystem::path data;          ///< --data; empty: not given
  std::filesystem::path weights;       ///< --weights, for train.initial_weights; empty: not given
  std::filesystem::path out;           ///< --out; by default runs/NAME with NAME of CONFIG
  std::vector<std::string> overrides;  ///< --set section.key=value
  bool is_resume = false;
  std::int64_t max_steps = 0;  ///< --max-steps: stop (saved, resumable) once the run has this many; 0: no limit
  bool is_dry_run = false;
};

/// The configuration of the request: the file, then --seed (as train.seed) and --weights (as train.initial_weights),
/// then --set. Errors: as load_config; RequestError for --weights beside a --set of its key.
Config config_of(const TrainRequest& request);

/// Trains. @returns exit status: 0, or 130 when interrupted
int run_train(const TrainRequest& request);

}  // namespace deq
