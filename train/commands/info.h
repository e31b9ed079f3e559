#pragma once

#include <filesystem>

#include "train/commands/options.h"

namespace deq {

/// deq info [CKPT | CONFIG.toml]
struct InfoRequest {
  RunOptions run;
  std::filesystem::path checkpoint;  ///< or a configuration (.toml); empty: about this build and machine
};

/// Describes the build and the machine, a checkpoint, or the model that a configuration makes. @returns exit status
int run_info(const InfoRequest& request);

}  // namespace deq
