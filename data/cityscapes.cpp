#include "data/cityscapes.h"

#include <array>
#include <string_view>
#include <utility>

#include "core/error.h"
#include "data/class_folders.h"
#include "data/segmentation_folder.h"

namespace deq {
namespace {

namespace fs = std::filesystem;

// clang-format off
constexpr std::array<int, 34> kLabelMap = {
    -1, -1, -1, -1, -1, -1, -1, 0, 1, -1, -1, 2, 3, 4, -1, -1, -1,
    5, -1, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, -1, -1, 16, 17, 18};
// clang-format on

constexpr std::string_view kImageEnd = "_leftImg8bit", kLabelEnd = "_gtFine_labelIds.png";

std::vector<LabelPair> pairs_of_cities(const fs::path& directory, Split split) {
  const std::string part = split == Split::train ? "train" : "val";
  const fs::path images = directory / "leftImg8bit" / part;
  require(fs::is_directory(images), images.string(), "no such folder");
  std::vector<LabelPair> out;
  for (const fs::path& city : entries_of(images, true)) {
    for (const fs::path& image : entries_of(city, false)) {
      std::string name = image.stem().string();
      require(name.ends_with(kImageEnd), image.string(), "expected a name that ends in ", kImageEnd);
      name.resize(name.size() - kImageEnd.size());
      const fs::path labels = directory / "gtFine" / part / city.filename() / concat(name, kLabelEnd);
      require(fs::is_regular_file(labels), image.string(), "has no labels: expected ", labels.string());
      out.push_back({image, labels});
    }
  }
  require(!out.empty(), images.string(), "holds no image in its city folders");
  return out;
}

}  // namespace

std::span<const int> cityscapes_label_map() { return kLabelMap; }

std::shared_ptr<const Dataset> open_cityscapes(const fs::path& directory, Split split, const DatasetOptions& options) {
  constexpr int kUsualHeight = 512, kUsualWidth = 1024;
  const bool is_inside = fs::is_directory(directory / "cityscapes");
  const fs::path folder = is_inside ? directory / "cityscapes" : directory;
  const bool has_cities = fs::is_directory(folder / "leftImg8bit");
  require(has_cities || fs::exists(folder / "train.txt") || fs::exists(folder / "val.txt"), folder.string(),
          "holds neither leftImg8bit (with gtFine beside it) nor train.txt and val.txt; get the sets "
          "leftImg8bit_trainvaltest and gtFine_trainvaltest from www.cityscapes-dataset.com");
  std::vector<LabelPair> pairs = has_cities ? pairs_of_cities(folder, split) : find_label_pairs(folder, split);
  DatasetInfo info{.name = "cityscapes",
                   .image_shape = {options.height > 0 ? options.height : kUsualHeight,
                                   options.width > 0 ? options.width : kUsualWidth, 3},
                   .class_names = {kCityscapesClasses.begin(), kCityscapesClasses.end()},
                   .normalisation = imagenet_normalisation()};
  LabelRule rule{.classes = static_cast<int>(kCityscapesClasses.size()), .ignore_label = options.ignore_label};
  rule.map = options.label_map;
  if (rule.map.empty()) rule.map.assign(kLabelMap.begin(), kLabelMap.end());
  const std::int64_t size = std::ssize(pairs);
  auto reader = [pairs = std::move(pairs), rule = std::move(rule)](std::int64_t index) {
    return read_label_pair(pairs[static_cast<std::size_t>(index)], rule);
  };
  return std::make_shared<SegmentationSet>(std::move(info), size, std::move(reader), options);
}

}  // namespace deq
