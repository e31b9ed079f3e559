#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "train/commands/options.h"

namespace deq {

/// deq tune CONFIG.toml
struct TuneRequest {
  RunOptions run;
  std::filesystem::path config;
  std::optional<std::string> methods;  ///< separated by commas; default: as configured
  int seeds = 0;                       ///< 0: as configured
  std::filesystem::path data;
  std::filesystem::path out;
  bool is_dry_run = false;          ///< print the whole configuration and do nothing
  bool is_audit = false;            ///< compare hypergradients instead of tuning
  bool is_inverse_quality = false;  ///< measure the shared inverse instead of tuning
};

/// Tunes hyper-parameters with each method on each seed, or compares hypergradients, or measures the quality of the
/// shared inverse. @returns exit status
int run_tune_command(const TuneRequest& request);

}  // namespace deq
