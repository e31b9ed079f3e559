#include <array>
#include <iostream>

#include "core/error.h"
#include "data/cifar10.h"
#include "data/dataset.h"
#include "data/digits.h"
#include "data/image_folder.h"
#include "data/shapes.h"

namespace deq {
namespace {

using Directory = std::filesystem::path;
using Opener = std::shared_ptr<const Dataset> (*)(const Directory& directory, Split split);

/// Opens a folder of images and reports on standard error what it had to leave out.
std::shared_ptr<const Dataset> open_folder(const Directory& directory, Split split) {
  constexpr std::size_t kShown = 10;
  const ImageFolder folder = read_image_folder(directory, split);
  for (std::size_t i = 0; i < std::min(kShown, folder.skipped.size()); ++i)
    std::cerr << "skipped " << folder.skipped[i] << '\n';
  if (folder.skipped.size() > kShown) std::cerr << "skipped " << folder.skipped.size() - kShown << " more files\n";
  return folder.images;
}

struct Entry {
  std::string_view name;
  Opener open;
};

constexpr std::array<Entry, 4> kDatasets = {{
    {"cifar10",
     [](const Directory& directory, Split split) -> std::shared_ptr<const Dataset> {
       return read_cifar10(directory, split);
     }},
    {"digits",
     [](const Directory& directory, Split split) -> std::shared_ptr<const Dataset> {
       return read_digits(directory, split);
     }},
    {"folder", open_folder},
    {"shapes", [](const Directory&, Split split) -> std::shared_ptr<const Dataset> { return draw_shapes(split); }},
}};

}  // namespace

std::shared_ptr<const Dataset> open_dataset(std::string_view name, const std::filesystem::path& directory,
                                            Split split) {
  std::string names;
  for (const Entry& entry : kDatasets) {
    if (entry.name == name) return entry.open(directory, split);
    names += concat(names.empty() ? "" : ", ", entry.name);
  }
  throw RequestError(concat("data set: no set is called \"", name, "\"; there are ", names));
}

}  // namespace deq
