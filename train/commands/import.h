#pragma once

#include <filesystem>
#include <string>

#include "train/commands/options.h"

namespace deq {

/// deq import mdeq
struct ImportRequest {
  RunOptions run;
  std::filesystem::path config;
  std::filesystem::path weights;  ///< safetensors with the reference implementation's names
  std::filesystem::path out;      ///< folder of the checkpoint
};

/// Makes a checkpoint of published weights. @returns exit status
int run_import(const ImportRequest& request);

}  // namespace deq
