#pragma once

#include <filesystem>
#include <vector>

#include "train/commands/options.h"

namespace deq {

/// deq plot RUN_DIR... [-o FILE]
struct PlotRequest {
  RunOptions run;
  std::vector<std::filesystem::path> runs;  ///< folders of runs
  std::filesystem::path out;                ///< .html, .svg or .png
};

/// Draws the curves of the runs into `out` and says on stderr what had to be left out. @returns exit status
/// Errors: RequestError for another extension, a folder that is no run, a file that cannot be read as one of a run.
int run_plot(const PlotRequest& request);

}  // namespace deq
