#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "train/checkpoint.h"

namespace deq {

inline constexpr std::string_view kModelFile = "model.safetensors";
inline constexpr std::string_view kStateFile = "state.safetensors";
inline constexpr std::string_view kManifestFile = "manifest.json";

/// File names of a checkpoint with their contents.
using FolderContents = std::map<std::string, std::vector<std::byte>, std::less<>>;
/// The same with the contents in pieces that lie elsewhere.
using FolderPieces = std::map<std::string, std::vector<std::span<const std::byte>>, std::less<>>;

/// Writes the files and their manifest to `folder` as `save_checkpoint` promises.
void replace_folder(const std::filesystem::path& folder, const FolderPieces& files, const SaveOptions& options);

/// The manifest's text for these files. It is a function of their bytes alone, so comparing texts checks everything.
std::string manifest_of(const FolderPieces& files);

/// `folder`, or, when a kill left it missing, the complete one beside it. Empty when there is none.
std::filesystem::path find_complete(const std::filesystem::path& folder);

/// Every file beside the manifest.
inline const std::vector<std::string_view> kCheckpointFiles{kModelFile, kStateFile};

/// Reads the files called `names` and compares them with the manifest.
/// Errors: RequestError naming the file and what differs.
FolderContents read_folder(const std::filesystem::path& folder,
                           const std::vector<std::string_view>& names = kCheckpointFiles);

}  // namespace deq
