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

constexpr std::array<KnownDataset, 4> kDatasets = {{
    {"cifar10", "CIFAR-10: 50,000 + 10,000 colour images of 32 x 32, 10 classes",
     "cifar-10/ with cifar-10-binary.tar.gz or its unpacked batches"},
    {"digits", "handwritten digits: grey images of 8 x 8, 10 classes", "digits/"},
    {"folder", "images of your own, one folder a class", "train/CLASS/*.png, test/CLASS/*.png"},
    {"shapes", "drawn outlines: colour images of 32 x 32, 10 classes", "none, drawn from a seed"},
}};
/// In the order of kDatasets.
constexpr std::array<Opener, kDatasets.size()> kOpeners = {
    [](const Directory& directory, Split split) -> std::shared_ptr<const Dataset> {
      return read_cifar10(directory, split);
    },
    [](const Directory& directory, Split split) -> std::shared_ptr<const Dataset> {
      return read_digits(directory, split);
    },
    open_folder,
    [](const Directory&, Split split) -> std::shared_ptr<const Dataset> { return draw_shapes(split); },
};

}  // namespace

std::span<const KnownDataset> known_datasets() { return kDatasets; }

std::shared_ptr<const Dataset> open_dataset(std::string_view name, const std::filesystem::path& directory,
                                            Split split) {
  std::string names;
  for (std::size_t i = 0; i < kDatasets.size(); ++i) {
    if (kDatasets[i].name == name) return kOpeners[i](directory, split);
    names += concat(names.empty() ? "" : ", ", kDatasets[i].name);
  }
  throw RequestError(concat("data set: no set is called \"", name, "\"; there are ", names));
}

}  // namespace deq
