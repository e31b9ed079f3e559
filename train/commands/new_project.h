#pragma once

#include <filesystem>

#include "train/commands/options.h"

namespace deq {

/// deq new NAME
struct NewProjectRequest {
  RunOptions run;
  std::filesystem::path folder;
};

/// Makes a CMake project with a model and a trainer of its own. @returns exit status
/// Errors (RequestError): as make_project.
int run_new_project(const NewProjectRequest& request);

}  // namespace deq
