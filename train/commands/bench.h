#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "train/commands/options.h"

namespace deq {

/// deq bench CONFIG.toml
struct BenchRequest {
  RunOptions run;
  std::filesystem::path config;
  std::vector<std::string> overrides;
  int batch = 0;  ///< 0: as configured
  int repeats = 5;
  std::vector<std::string> estimators;  ///< empty: the configured one; every name has been checked
};

/// Measures one training step and its parts. @returns exit status
int run_bench(const BenchRequest& request);

}  // namespace deq
