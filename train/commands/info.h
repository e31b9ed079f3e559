#pragma once

#include <filesystem>

#include "train/commands/options.h"

namespace deq {

/// deq info [CKPT]
struct InfoRequest {
  RunOptions run;
  std::filesystem::path checkpoint;  ///< empty: about this build and machine
};

/// Describes the build and the machine, or a checkpoint. @returns exit status
int run_info(const InfoRequest& request);

}  // namespace deq
