#include "train/checkpoint_integrity.h"

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "data/file.h"
#include "train/checkpoint_folder.h"
#include "train/json_text.h"

namespace deq {
namespace {

using Json = nlohmann::json;

/// What a manifest says of its files. Errors: RequestError when it is none.
Json entries_of(const std::string& manifest, const std::string& place) {
  const Json json = parse_json(manifest);
  require(json.is_object() && json.contains("files") && json["files"].is_object(), place,
          "damaged: not the manifest of a checkpoint");
  return json["files"];
}

/// Empty for a file that is not among the `entries`.
std::string sum_of(const Json& entries, const std::string& name) {
  const auto entry = entries.find(name);
  if (entry == entries.end() || !entry->is_object()) return {};
  const Json sum = entry->value("crc32", Json());
  return concat(entry->value("bytes", Json()).dump(), " bytes, CRC-32 ",
                sum.is_string() ? sum.get<std::string>() : sum.dump());
}

}  // namespace

IntegrityReport check_checkpoint(const std::filesystem::path& folder) {
  const std::string place = (folder / kManifestFile).string();
  const std::vector<std::byte> bytes = read_file(place);
  const std::string manifest(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  FolderContents contents;
  FolderPieces pieces;
  for (const std::string_view name : {kModelFile, kStateFile})
    if (std::filesystem::exists(folder / name)) {
      const auto file = contents.emplace(name, read_file(folder / name)).first;
      pieces[file->first] = {file->second};
    }
  const std::string whole = manifest_of(pieces);
  const Json expected = entries_of(manifest, place), found = entries_of(whole, place);
  IntegrityReport report{.against = place, .files = {}};
  for (const std::string_view view : {kModelFile, kStateFile}) {
    const std::string name(view);
    FileCheck check{.file = name, .expected = sum_of(expected, name), .found = sum_of(found, name)};
    require(!check.expected.empty(), place, "damaged: does not list ", name);
    if (check.found != check.expected) check.state = check.found.empty() ? FileState::missing : FileState::damaged;
    report.files.push_back(std::move(check));
  }
  require(!report.is_intact() || manifest == whole, place,
          "damaged: lists something else than the files of this checkpoint");
  return report;
}

}  // namespace deq
