#include "train/checkpoint_folder.h"

#include <array>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "data/file.h"
#include "train/durable_file.h"
#include "train/json_text.h"

namespace deq {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view kManifestFormat = "deq-checkpoint-1";

fs::path beside(fs::path folder, std::string_view suffix) {
  if (!folder.has_filename()) folder = folder.parent_path();
  return folder += suffix;
}

std::string hexadecimal(std::uint32_t value) {
  std::array<char, 9> buffer{};
  std::snprintf(buffer.data(), buffer.size(), "%08x", value);
  return buffer.data();
}

nlohmann::ordered_json entry_of(std::span<const std::span<const std::byte>> pieces) {
  std::size_t bytes = 0;
  std::uint32_t crc = 0;
  for (const std::span<const std::byte> piece : pieces) {
    bytes += piece.size();
    crc = crc32_of(piece, crc);
  }
  return {{"bytes", bytes}, {"crc32", hexadecimal(crc)}};
}

std::span<const std::byte> bytes_of(const std::string& text) { return std::as_bytes(std::span(text)); }

bool is_complete(const fs::path& folder) {
  if (!fs::is_directory(folder)) return false;
  try {
    read_folder(folder);
    return true;
  } catch (const RequestError&) {
    return false;
  }
}

void write_all(const fs::path& folder, const FolderPieces& files, const std::function<void(std::string_view)>& at) {
  fs::create_directories(folder);
  at("folder made");
  for (const auto& [name, pieces] : files) {
    write_durable(folder / name, pieces);
    at(name);
  }
  write_durable(folder / kManifestFile, bytes_of(manifest_of(files)));
  at(kManifestFile);
  sync_folder(folder);
}

/// Puts `fresh` in the place of `folder`.
void swap_in(const fs::path& fresh, const fs::path& folder, const SaveOptions& options,
             const std::function<void(std::string_view)>& at) {
  if (!fs::exists(folder)) {
    fs::rename(fresh, folder);
    return;
  }
  if (options.uses_exchange && exchange_paths(fresh, folder)) return;
  // Without an exchange there is an instant at which `folder` is missing; find_complete then finds its successor.
  fs::rename(folder, beside(folder, ".old"));
  at("old moved away");
  fs::rename(fresh, folder);
}

/// Errors: a file that is not what the manifest promises.
void check_listed(const fs::path& folder, const FolderPieces& files, const std::string& manifest) {
  const nlohmann::json found = parse_json(manifest);
  const std::string place = (folder / kManifestFile).string();
  require(found.is_object() && found.contains("files") && found["files"].is_object(), place,
          "damaged: not the manifest of a checkpoint");
  for (const auto& [name, pieces] : files) {
    const auto entry = found["files"].find(name);
    require(entry != found["files"].end() && entry->is_object(), place, "damaged: does not list ", name);
    const auto expected = entry_of(pieces);
    const std::string file = (folder / name).string();
    const auto size = entry->value("bytes", nlohmann::json());
    require(size == expected["bytes"], file, "has ", expected["bytes"].dump(), " bytes, the manifest says ",
            size.dump(), "; the checkpoint is damaged, use another one");
    const auto sum = entry->value("crc32", nlohmann::json());
    require(sum == expected["crc32"], file, "has CRC-32 ", expected["crc32"].dump(), ", the manifest says ", sum.dump(),
            "; the checkpoint is damaged, use another one");
  }
}

}  // namespace

std::string manifest_of(const FolderPieces& files) {
  nlohmann::ordered_json manifest = {{"format", kManifestFormat}, {"files", nlohmann::ordered_json::object()}};
  for (const auto& [name, pieces] : files) manifest["files"][name] = entry_of(pieces);
  return manifest.dump(2) + "\n";
}

FolderContents read_folder(const fs::path& folder, const std::vector<std::string_view>& names) {
  FolderContents files;
  for (const std::string_view name : names) files.emplace(name, read_file(folder / name));
  const std::vector<std::byte> bytes = read_file(folder / kManifestFile);
  const std::string manifest(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  FolderPieces pieces;
  for (const auto& [name, contents] : files) pieces[name] = {contents};
  const bool has_all = files.size() == kCheckpointFiles.size();
  if (has_all && manifest == manifest_of(pieces)) return files;
  check_listed(folder, pieces, manifest);
  require(!has_all, (folder / kManifestFile).string(),
          "damaged: lists something else than the files of this checkpoint");
  return files;
}

fs::path find_complete(const fs::path& folder) {
  if (fs::exists(folder)) return folder;
  for (const std::string_view suffix : {".new", ".old"})
    if (is_complete(beside(folder, suffix))) return beside(folder, suffix);
  return {};
}

void replace_folder(const fs::path& folder, const FolderPieces& files, const SaveOptions& options) {
  const auto at = [&](std::string_view point) {
    if (options.reached) options.reached(point);
  };
  const fs::path fresh = beside(folder, ".new");
  try {
    if (folder.has_parent_path()) fs::create_directories(folder.parent_path());
    const fs::path complete = find_complete(folder);
    if (!complete.empty() && complete != folder) fs::rename(complete, folder);
    fs::remove_all(fresh);
    fs::remove_all(beside(folder, ".old"));
    at("started");
    write_all(fresh, files, at);
    at("written");
    swap_in(fresh, folder, options, at);
    at("swapped");
    sync_folder(folder.parent_path());
    at("synced");
    fs::remove_all(fresh);
    fs::remove_all(beside(folder, ".old"));
  } catch (const std::exception& failure) {
    std::error_code ignored;
    // A complete one may be all there is: find_complete then finds it.
    if (fs::exists(folder, ignored) || !is_complete(fresh)) fs::remove_all(fresh, ignored);
    throw Error(concat("checkpoint ", folder.string(), " was not saved: ", failure.what()));
  }
}

}  // namespace deq
