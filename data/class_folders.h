#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/dataset.h"

namespace deq {

/// Image files sorted into one folder a class.
struct ClassFolders {
  std::filesystem::path part;  ///< the folder that holds the class folders
  std::vector<std::string> class_names;
  std::vector<std::filesystem::path> files;  ///< class by class, each in alphabetical order
  std::vector<std::int32_t> labels;          ///< one a file
  bool serves_both_splits = false;           ///< DIR has no parts
};

/// Lists DIR/train/CLASS/* or, for the test split, DIR/NAME/CLASS/* with the first of `test_names` that exists; or
/// DIR/CLASS/* when DIR has neither (the same files then serve both splits). Classes are the sub-folders of the
/// training part in alphabetical order, so both splits agree; hidden files are ignored. No file is opened. Errors:
/// RequestError when the folder or the split is missing, has no class folders or holds an unknown class.
ClassFolders list_class_folders(const std::filesystem::path& directory, Split split,
                                std::span<const std::string_view> test_names);

/// Files in `folder` (or folders, when `are_folders`) in alphabetical order, hidden ones left out.
std::vector<std::filesystem::path> entries_of(const std::filesystem::path& folder, bool are_folders);

}  // namespace deq
