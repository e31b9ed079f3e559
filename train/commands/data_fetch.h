#pragma once

#include <filesystem>
#include <string>

#include "train/commands/options.h"

namespace deq {

/// deq data fetch NAME
struct DataFetchRequest {
  RunOptions run;
  std::string name;
  std::filesystem::path data;
  std::string mirror;  ///< --from
};

/// Downloads the files of a published set into its own folder below the data folder and checks their sums. What is
/// there is left alone; an interrupted download goes on where it ended. @returns exit status
/// Errors: as published_set and fetch; RequestError without a data folder.
int run_data_fetch(const DataFetchRequest& request);

}  // namespace deq
