#include "train/commands/data_fetch.h"

#include <algorithm>
#include <iomanip>
#include <iostream>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "data/published_set.h"
#include "train/interrupt.h"
#include "train/json_text.h"
#include "train/progress.h"

namespace deq {
namespace {

using Json = nlohmann::ordered_json;

std::string_view name_of(FetchState state) {
  switch (state) {
    case FetchState::fetched: return "fetched";
    case FetchState::already_there: return "already there";
    case FetchState::interrupted: return "interrupted";
  }
  return "";
}

/// Fetches one file under a progress bar in KiB.
FetchState fetch_shown(const PublishedFile& file, const std::filesystem::path& folder,
                       const DataFetchRequest& request) {
  constexpr std::int64_t kKib = 1024;
  Progress progress(progress_style(request.run.is_quiet));
  const std::string phase = concat("KiB of ", file.name);
  return fetch(file, folder, request.mirror, [&](std::int64_t done, std::int64_t all) {
    const std::int64_t total = all > 0 ? all : file.bytes;
    if (done > 0) progress.update({.step = done / kKib, .total = std::max(done, total) / kKib, .phase = phase});
    return !is_interrupted();
  });
}

}  // namespace

int run_data_fetch(const DataFetchRequest& request) {
  const PublishedSet& set = published_set(request.name);
  const std::filesystem::path data = data_folder(request.data, "");
  require(!data.empty(), "deq data fetch", "give the folder for data sets with --data DIR or DEQ_DATA_DIR");
  const std::filesystem::path folder = data / set.folder;
  Json files = Json::array();
  for (const PublishedFile& file : set.files) {
    const FetchState state = fetch_shown(file, folder, request);
    if (state == FetchState::interrupted) {
      std::cerr << "interrupted: the same command goes on with " << file.name << "\n";
      return kInterruptedStatus;
    }
    files.push_back({{"file", file.name}, {"bytes", file.bytes}, {"state", name_of(state)}});
    if (!request.run.is_json)
      std::cout << std::left << std::setw(15) << name_of(state) << (folder / file.name).string() << "\n";
  }
  if (request.run.is_json)
    std::cout << json_text({{"name", set.name}, {"folder", folder.string()}, {"terms", set.terms}, {"files", files}});
  else
    std::cout << "terms: " << set.terms << "\n";
  return 0;
}

}  // namespace deq
