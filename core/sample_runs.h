#pragma once

#include <memory>
#include <vector>

#include "core/depth_first.h"
#include "core/schedule.h"

namespace deq {

/// Launches of a loop that run sample by sample.
struct SampleRun {
  Span positions;
  std::unique_ptr<DepthFirst> kernel;
  bool is_whole_map = false;  ///< it is all of an evaluation, and each sample reads its own row of the states alone
};

/// Runs of launches (in the map of a solve, or beside it) whose kernels take
/// the same number of samples one by one, where that pays: at least two
/// launches, enough work for a parallel region, and samples that `threads` can
/// share evenly. What a launch reads as a whole comes from before its run.
/// `kernels` by position, null where nothing runs.
std::vector<SampleRun> find_sample_runs(const Graph& graph, const ProgramSchedule& schedule,
                                        const std::vector<Kernel*>& kernels, int threads);

}  // namespace deq
