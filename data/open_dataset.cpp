#include <algorithm>
#include <array>
#include <iostream>

#include "core/counted.h"
#include "core/error.h"
#include "data/cifar10.h"
#include "data/cityscapes.h"
#include "data/dataset.h"
#include "data/digits.h"
#include "data/image_folder.h"
#include "data/imagenet.h"
#include "data/published_set.h"
#include "data/segmentation_folder.h"
#include "data/shape_scenes.h"
#include "data/shapes.h"

namespace deq {
namespace {

using Directory = std::filesystem::path;
using Opener = std::shared_ptr<const Dataset> (*)(const Directory&, Split, const DatasetOptions&);

/// Opens a folder of images and reports on standard error what it had to leave out.
std::shared_ptr<const Dataset> open_folder(const Directory& directory, Split split, const DatasetOptions& options) {
  constexpr std::size_t kShown = 10;
  ImageFolderOptions folder_options{.bad_images = options.bad_images};
  if (options.height > 0) folder_options.height = options.height;
  if (options.width > 0) folder_options.width = options.width;
  const ImageFolder folder = read_image_folder(directory, split, folder_options);
  for (std::size_t i = 0; i < std::min(kShown, folder.skipped.size()); ++i)
    std::cerr << "skipped " << folder.skipped[i] << '\n';
  if (folder.skipped.size() > kShown)
    std::cerr << "skipped " << counted(folder.skipped.size() - kShown, "more file") << "\n";
  return folder.images;
}

std::shared_ptr<const Dataset> open_cifar10(const Directory& directory, Split split, const DatasetOptions&) {
  return read_cifar10(directory, split);
}

/// The same images with their grey in three channels, as models take images.
std::shared_ptr<const ImageSet> in_colour(const ImageSet& grey) {
  DatasetInfo info = grey.info();
  info.image_shape = info.image_shape.with(2, 3);
  info.normalisation = {.mean = std::vector(3, info.normalisation.mean[0]),
                        .std = std::vector(3, info.normalisation.std[0])};
  auto set = std::make_shared<ImageSet>(std::move(info));
  set->reserve(grey.size());
  for (std::int64_t i = 0; i < grey.size(); ++i) {
    const Sample from = grey.sample(i);
    const std::span<std::uint8_t> pixels = set->append(from.label);
    for (std::size_t at = 0; at < pixels.size(); ++at) pixels[at] = from.pixels[at / 3];
  }
  return set;
}

std::shared_ptr<const Dataset> open_digits(const Directory& directory, Split split, const DatasetOptions&) {
  return in_colour(*read_digits(directory, split));
}

std::shared_ptr<const Dataset> open_shapes(const Directory&, Split split, const DatasetOptions& options) {
  ShapesOptions shapes;
  if (options.seed != 0) shapes.seed = options.seed;
  if (options.size > 0) (split == Split::train ? shapes.train_images : shapes.test_images) = options.size;
  return draw_shapes(split, shapes);
}

std::shared_ptr<const Dataset> open_scenes(const Directory&, Split split, const DatasetOptions& options) {
  return draw_scenes(split, options);
}

constexpr std::array<KnownDataset, 8> kDatasets = {{
    {"cifar10", "CIFAR-10: 50,000 + 10,000 colour images of 32 x 32, 10 classes",
     "cifar-10/ with cifar-10-binary.tar.gz or its unpacked batches"},
    {"digits", "handwritten digits: grey images of 8 x 8, 10 classes", "digits/"},
    {"folder", "images of your own, one folder a class, read into memory", "train/CLASS/*.png, test/CLASS/*.png"},
    {"shapes", "drawn outlines: colour images of 32 x 32, 10 classes", "none, drawn from a seed", /*is_drawn=*/true},
    {"imagenet", "images of any size, one folder a class, decoded while training",
     "train/CLASS/*.jpg, val/CLASS/*.jpg"},
    {"shapes-seg", "drawn scenes of 48 x 64 with a class for each pixel, 6 classes", "none, drawn from a seed",
     /*is_drawn=*/true},
    {"segmentation_folder", "images of your own with label PNGs",
     "train.txt and val.txt of \"IMAGE LABELS\" lines, or train/images + train/labels and val/..."},
    {"cityscapes", "Cityscapes: street scenes of 1024 x 2048 with a class for each pixel, 19 classes",
     "leftImg8bit/ and gtFine/"},
}};
/// In the order of kDatasets.
constexpr std::array<Opener, kDatasets.size()> kOpeners = {
    open_cifar10,   open_digits, open_folder, open_shapes, open_imagenet, open_scenes, open_segmentation_folder,
    open_cityscapes};

void check_folder_given(const KnownDataset& set, const Directory& directory) {
  const bool is_published =
      std::ranges::find(published_sets(), set.name, &PublishedSet::name) != published_sets().end();
  require(set.is_drawn || !directory.empty(), concat("data set '", set.name, "'"),
          "no data folder was given; name one with --data, data.path or DEQ_DATA_DIR",
          is_published ? concat(" (`deq data fetch ", set.name, "` fills it)") : "");
}

}  // namespace

std::span<const KnownDataset> known_datasets() { return kDatasets; }

std::shared_ptr<const Dataset> open_dataset(std::string_view name, const std::filesystem::path& directory, Split split,
                                            const DatasetOptions& options) {
  std::string names;
  for (std::size_t i = 0; i < kDatasets.size(); ++i) {
    if (kDatasets[i].name == name) {
      check_folder_given(kDatasets[i], directory);
      return kOpeners[i](directory, split, options);
    }
    names += concat(names.empty() ? "" : ", ", kDatasets[i].name);
  }
  throw RequestError(concat("data set: no set is called \"", name, "\"; there are ", names));
}

}  // namespace deq
