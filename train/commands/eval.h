#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "train/commands/options.h"

namespace deq {

/// deq eval CKPT
struct EvalRequest {
  RunOptions run;
  std::filesystem::path checkpoint;
  std::filesystem::path data;
  std::string split = "test";
  std::int64_t limit = 0;              ///< images; 0: all
  int batch = 0;                       ///< at most the images there are; 0: as configured
  std::vector<std::string> overrides;  ///< --set section.key=value
  SolverLimits limits;
};

/// Evaluates on a data set. @returns exit status
int run_eval(const EvalRequest& request);

}  // namespace deq
