#pragma once

#include <filesystem>
#include <string>

#include "data/dataset.h"
#include "train/commands/options.h"

namespace deq {

/// deq data list
struct DataListRequest {
  RunOptions run;
};

/// deq data export NAME
struct DataExportRequest {
  RunOptions run;
  std::string name;
  std::filesystem::path data;
  std::string split = "test";
  int count = 40;
  std::filesystem::path out;
};

/// deq data verify PATH
struct DataVerifyRequest {
  RunOptions run;
  std::filesystem::path path;
};

/// Lists the data sets that are known by name, and which of them can be fetched. @returns exit status
int run_data_list(const DataListRequest& request);

/// Writes the first `count` images of a split as PNG files called CLASS-INDEX.png. @returns exit status
/// Errors (RequestError): as open_dataset; more images asked for than the split has; images that are not RGB.
int run_data_export(const DataExportRequest& request);

/// Compares the files at a path with their published sums (check_integrity), or those of a checkpoint with its
/// manifest, and says which are damaged or missing. @returns exit status Errors (RequestError): as check_integrity; a
/// file that is damaged or missing.
int run_data_verify(const DataVerifyRequest& request);

}  // namespace deq
