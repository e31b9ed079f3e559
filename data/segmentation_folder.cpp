#include "data/segmentation_folder.h"

#include <algorithm>
#include <fstream>
#include <map>
#include <sstream>
#include <utility>

#include "core/counted.h"
#include "core/error.h"
#include "data/class_folders.h"

namespace deq {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> names_of(Split split) {
  switch (split) {
    case Split::train: return {"train"};
    case Split::test: return {"val", "test"};
  }
  return {};
}

std::vector<std::string> lines_of(const fs::path& file) {
  std::ifstream in(file);
  require(in.good(), file.string(), "cannot be opened");
  std::vector<std::string> out;
  for (std::string line; std::getline(in, line);) {
    if (!line.empty() && line.back() == '\r') line.pop_back();
    out.push_back(line);
  }
  return out;
}

std::vector<LabelPair> pairs_of_list(const fs::path& directory, const fs::path& list) {
  std::vector<LabelPair> out;
  const std::vector<std::string> lines = lines_of(list);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    std::istringstream words(lines[i]);
    std::string image, labels, more;
    words >> image >> labels >> more;
    if (image.empty() || image.starts_with('#')) continue;
    const std::string place = concat(list.string(), ":", i + 1);
    require(!labels.empty() && more.empty(), place, "expected \"IMAGE LABELS\", found \"", lines[i], "\"");
    for (const std::string& file : {image, labels})
      require(fs::is_regular_file(directory / file), place, "no such file: ", (directory / file).string());
    out.push_back({directory / image, directory / labels});
  }
  require(!out.empty(), list.string(), "lists no pair; expected one \"IMAGE LABELS\" a line");
  return out;
}

std::vector<LabelPair> pairs_of_folders(const fs::path& images, const fs::path& labels) {
  require(fs::is_directory(labels), labels.string(), "no such folder, although ", images.string(), " exists");
  std::map<std::string, fs::path> by_name;
  for (const fs::path& file : entries_of(labels, false)) by_name.emplace(file.stem().string(), file);
  std::vector<LabelPair> out;
  for (const fs::path& image : entries_of(images, false)) {
    const auto found = by_name.find(image.stem().string());
    require(found != by_name.end(), image.string(), "has no labels: expected ",
            (labels / (image.stem().string() + ".png")).string());
    out.push_back({image, found->second});
    by_name.erase(found);
  }
  require(by_name.empty(), by_name.empty() ? "" : by_name.begin()->second.string(), "has no image of its name in ",
          images.string());
  require(!out.empty(), images.string(), "holds no image");
  return out;
}

std::vector<std::string> class_names(const fs::path& directory, int classes) {
  const fs::path file = directory / "classes.txt";
  std::vector<std::string> out;
  if (fs::exists(file)) {
    for (const std::string& line : lines_of(file))
      if (!line.empty()) out.push_back(line);
    require(std::ssize(out) == classes, file.string(), "names ", counted(out.size(), "class"), " but model.classes is ",
            classes);
    return out;
  }
  for (int i = 0; i < classes; ++i) out.push_back(concat("class ", i));
  return out;
}

/// True when there is a list or a folder of the split alone.
bool has_part(const fs::path& directory, Split split) {
  return std::ranges::any_of(names_of(split), [&](const std::string& name) {
    return fs::exists(directory / (name + ".txt")) || fs::is_directory(directory / name / "images");
  });
}

}  // namespace

std::vector<LabelPair> find_label_pairs(const fs::path& directory, Split split) {
  require(fs::is_directory(directory), directory.string(), "no such folder");
  for (const std::string& name : names_of(split))
    if (const fs::path list = directory / (name + ".txt"); fs::exists(list)) return pairs_of_list(directory, list);
  for (const std::string& name : names_of(split))
    if (const fs::path part = directory / name; fs::is_directory(part / "images"))
      return pairs_of_folders(part / "images", part / "labels");
  const std::string name = names_of(split)[0];
  require(fs::is_directory(directory / "images"), directory.string(), "holds none of ", name,
          ".txt (a list of pairs), ", name, "/images with ", name, "/labels, images with labels");
  return pairs_of_folders(directory / "images", directory / "labels");
}

LabelledImage read_label_pair(const LabelPair& pair, const LabelRule& rule) {
  LabelledImage out{.image = read_image(pair.image), .labels = read_pixel_labels(pair.labels)};
  require(out.image.height == out.labels.height && out.image.width == out.labels.width, pair.labels.string(), "has ",
          out.labels.height, " x ", out.labels.width, " labels but ", pair.image.string(), " has ", out.image.height,
          " x ", out.image.width, " pixels");
  apply_label_rule(out.labels, rule, pair.labels.string());
  return out;
}

std::shared_ptr<const Dataset> open_segmentation_folder(const fs::path& directory, Split split,
                                                        const DatasetOptions& options) {
  constexpr int kUsualHeight = 384, kUsualWidth = 512;
  require(options.classes >= 2, "segmentation_folder", "the number of classes is not given");
  const bool is_inside = fs::is_directory(directory / "segmentation_folder");
  const fs::path folder = is_inside ? directory / "segmentation_folder" : directory;
  std::vector<LabelPair> pairs = find_label_pairs(folder, split);
  DatasetInfo info{.name = "segmentation_folder",
                   .image_shape = {options.height > 0 ? options.height : kUsualHeight,
                                   options.width > 0 ? options.width : kUsualWidth, 3},
                   .class_names = class_names(folder, options.classes),
                   .normalisation = imagenet_normalisation(),
                   .serves_both_splits = !has_part(folder, split)};
  const std::int64_t size = std::ssize(pairs);
  LabelRule rule{.classes = options.classes, .ignore_label = options.ignore_label, .map = options.label_map};
  auto reader = [pairs = std::move(pairs), rule = std::move(rule)](std::int64_t index) {
    return read_label_pair(pairs[static_cast<std::size_t>(index)], rule);
  };
  return std::make_shared<SegmentationSet>(std::move(info), size, std::move(reader), options);
}

}  // namespace deq
