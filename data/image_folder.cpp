#include "data/image_folder.h"

#include <algorithm>
#include <utility>

#include "core/error.h"
#include "data/image.h"

namespace deq {
namespace {

namespace fs = std::filesystem;

/// Entries of a folder in alphabetical order, hidden ones left out.
std::vector<fs::path> entries_of(const fs::path& folder, bool are_folders) {
  std::vector<fs::path> out;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const bool is_hidden = entry.path().filename().string().starts_with('.');
    if (!is_hidden && entry.is_directory() == are_folders) out.push_back(entry.path());
  }
  std::ranges::sort(out);
  return out;
}

std::vector<std::string> class_names_of(const fs::path& folder) {
  std::vector<std::string> names;
  for (const fs::path& path : entries_of(folder, true)) names.push_back(path.filename().string());
  require(!names.empty(), folder.string(), "holds no class folders; expected one folder of images for each class");
  return names;
}

/// Folder of class folders for `split`.
fs::path part_of(const fs::path& directory, Split split) {
  require(fs::is_directory(directory), directory.string(), "no such folder");
  const bool is_split = fs::is_directory(directory / "train") || fs::is_directory(directory / "test");
  if (!is_split) return directory;
  const fs::path part = directory / name_of(split);
  require(fs::is_directory(part), part.string(), "no such folder, although its counterpart exists");
  return part;
}

void append_class(ImageFolder& out, ImageSet& set, const fs::path& folder, std::int32_t label,
                  const ImageFolderOptions& options) {
  for (const fs::path& path : entries_of(folder, false)) {
    try {
      const Image image = fitted(read_image(path), options.height, options.width);
      std::ranges::copy(image.pixels, set.append(label).begin());
    } catch (const RequestError& error) {
      if (options.bad_images == BadImagePolicy::fail) throw;
      out.skipped.emplace_back(error.what());
    }
  }
}

}  // namespace

ImageFolder read_image_folder(const fs::path& directory, Split split, const ImageFolderOptions& options) {
  const fs::path part = part_of(directory, split);
  const bool has_train = fs::is_directory(directory / "train");
  DatasetInfo info{.name = "folder",
                   .image_shape = {options.height, options.width, 3},
                   .class_names = class_names_of(has_train ? directory / "train" : part),
                   .normalisation = {.mean = {0.485F, 0.456F, 0.406F}, .std = {0.229F, 0.224F, 0.225F}}};
  const auto classes = info.class_names;
  auto set = std::make_shared<ImageSet>(std::move(info));
  ImageFolder out;
  for (const std::string& name : class_names_of(part)) {
    const auto found = std::ranges::find(classes, name);
    require(found != classes.end(), (part / name).string(), "class \"", name, "\" does not occur in the training part");
    append_class(out, *set, part / name, static_cast<std::int32_t>(found - classes.begin()), options);
  }
  require(set->size() > 0, part.string(), "holds no readable image",
          out.skipped.empty() ? std::string()
                              : concat("; the first of ", out.skipped.size(), " bad files: ", out.skipped.front()));
  out.images = std::move(set);
  return out;
}

}  // namespace deq
