#include "data/class_folders.h"

#include <algorithm>

#include "core/error.h"

namespace deq {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> class_names_of(const fs::path& folder) {
  std::vector<std::string> names;
  for (const fs::path& path : entries_of(folder, true)) names.push_back(path.filename().string());
  require(!names.empty(), folder.string(), "holds no class folders; expected one folder of images for each class");
  return names;
}

/// Folder of class folders for `split`.
fs::path part_of(const fs::path& directory, Split split, std::span<const std::string_view> test_names) {
  require(fs::is_directory(directory), directory.string(), "no such folder");
  const auto is_there = [&](std::string_view name) { return fs::is_directory(directory / name); };
  const auto test = std::ranges::find_if(test_names, is_there);
  if (!is_there("train") && test == test_names.end()) return directory;
  const fs::path part = directory / (split == Split::train      ? "train"
                                     : test == test_names.end() ? test_names[0]
                                                                : *test);
  require(fs::is_directory(part), part.string(), "no such folder, although its counterpart exists");
  return part;
}

}  // namespace

std::vector<fs::path> entries_of(const fs::path& folder, bool are_folders) {
  std::vector<fs::path> out;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const bool is_hidden = entry.path().filename().string().starts_with('.');
    if (!is_hidden && entry.is_directory() == are_folders) out.push_back(entry.path());
  }
  std::ranges::sort(out);
  return out;
}

ClassFolders list_class_folders(const fs::path& directory, Split split, std::span<const std::string_view> test_names) {
  ClassFolders out;
  out.part = part_of(directory, split, test_names);
  out.serves_both_splits = out.part == directory;
  const bool has_train = fs::is_directory(directory / "train");
  out.class_names = class_names_of(has_train ? directory / "train" : out.part);
  for (const std::string& name : class_names_of(out.part)) {
    const auto found = std::ranges::find(out.class_names, name);
    require(found != out.class_names.end(), (out.part / name).string(), "class \"", name,
            "\" does not occur in the training part");
    for (fs::path& file : entries_of(out.part / name, false)) {
      out.files.push_back(std::move(file));
      out.labels.push_back(static_cast<std::int32_t>(found - out.class_names.begin()));
    }
  }
  return out;
}

}  // namespace deq
