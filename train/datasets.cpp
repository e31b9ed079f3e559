#include "train/datasets.h"

#include <algorithm>

#include "core/counted.h"
#include "core/error.h"
#include "data/cityscapes.h"
#include "data/imagenet.h"
#include "data/shape_scenes.h"
#include "data/shapes.h"

namespace deq {
namespace {

/// The first `size` images of another set under other statistics.
class ConfiguredSet final : public Dataset {
 public:
  ConfiguredSet(std::shared_ptr<const Dataset> base, std::int64_t size, Normalisation normalisation)
      : base_(std::move(base)), info_(base_->info()), size_(size > 0 ? std::min(size, base_->size()) : base_->size()) {
    info_.normalisation = std::move(normalisation);
  }
  [[nodiscard]] const DatasetInfo& info() const override { return info_; }
  [[nodiscard]] std::int64_t size() const override { return size_; }
  [[nodiscard]] Sample sample(std::int64_t index) const override {
    check(index >= 0 && index < size_, "data", "sample ", index, " of ", size_);
    return base_->sample(index);
  }
  void load(const ExampleKey& key, Example& out) const override {
    check(key.index >= 0 && key.index < size_, "data", "example ", key.index, " of ", size_);
    base_->load(key, out);
  }
  [[nodiscard]] std::int64_t bad_file_count() const override { return base_->bad_file_count(); }
  [[nodiscard]] std::vector<std::string> bad_files() const override { return base_->bad_files(); }

 private:
  std::shared_ptr<const Dataset> base_;
  DatasetInfo info_;
  std::int64_t size_;
};

int configured_size(const DataConfig& data, Split split) {
  return split == Split::train ? data.train_size : data.test_size;
}

DatasetOptions dataset_options(const Config& config, Split split, View view) {
  const DataConfig& data = config.data;
  const std::vector<int>& size = view == View::training || data.eval_image.empty() ? data.image : data.eval_image;
  return {.height = size[0],
          .width = size[1],
          .bad_images = data.bad_files == "error" ? BadImagePolicy::fail : BadImagePolicy::skip,
          .seed = static_cast<std::uint64_t>(data.seed),
          .size = configured_size(data, split),
          .crop_area = {data.crop_area[0], data.crop_area[1]},
          .scale = {data.scale[0], data.scale[1]},
          .classes = config.model.classes,
          .ignore_label = data.ignore_label,
          .label_map = data.label_map};
}

/// Images of sets whose size is known without their files; 0 for others.
std::int64_t known_size(std::string_view name, Split split) {
  const bool is_training = split == Split::train;
  if (name == "cifar10") return is_training ? 50000 : 10000;
  if (name == "shapes") return is_training ? ShapesOptions{}.train_images : ShapesOptions{}.test_images;
  if (name == "shapes-seg") return is_training ? kSceneTrainImages : kSceneTestImages;
  if (name == "imagenet") return is_training ? kImagenetTrainImages : kImagenetTestImages;
  if (name == "cityscapes") return is_training ? kCityscapesTrainImages : kCityscapesTestImages;
  return 0;
}

}  // namespace

std::shared_ptr<const Dataset> open_split(const Config& config, Split split, const std::filesystem::path& folder,
                                          View view) {
  const DataConfig& data = config.data;
  const DatasetOptions options = dataset_options(config, split, view);
  const std::shared_ptr<const Dataset> base = open_dataset(data.name, folder, split, options);
  const DatasetInfo& info = base->info();
  const bool has_pixel_labels = info.label_shape.rank() > 0;
  require(has_pixel_labels == (config.model.task == "segmentation"), "data", "key 'model.task' is '", config.model.task,
          "' but '", data.name, "' has one class ", has_pixel_labels ? "a pixel" : "an image");
  const Shape wanted{options.height, options.width, static_cast<std::int64_t>(data.mean.size())};
  require(info.image_shape == wanted, "data", "images of '", data.name, "' are ", info.image_shape,
          " but data.image and data.mean ask for ", wanted);
  require(static_cast<int>(info.class_names.size()) == config.model.classes, "data", "'", data.name, "' has ",
          counted(info.class_names.size(), "class"), " but model.classes is ", config.model.classes);
  return std::make_shared<ConfiguredSet>(base, configured_size(data, split), normalisation_of(data));
}

std::shared_ptr<const Dataset> open_split(const Config& config, Split split, const std::filesystem::path& folder) {
  return open_split(config, split, folder, split == Split::train ? View::training : View::evaluation);
}

Normalisation normalisation_of(const DataConfig& data) {
  return {{data.mean.begin(), data.mean.end()}, {data.std.begin(), data.std.end()}};
}

std::int64_t split_size(const Config& config, Split split, const std::filesystem::path& folder) {
  const DataConfig& data = config.data;
  const std::int64_t limit = configured_size(data, split);
  const bool is_drawn = data.name == "shapes" || data.name == "shapes-seg";
  if (is_drawn && limit > 0) return limit;
  namespace fs = std::filesystem;
  const auto holds = [&](const char* part) {
    return !folder.empty() && (fs::exists(folder / part) || fs::exists(folder / data.name / part));
  };
  const bool has_files = data.name == "imagenet" ? holds("train") : holds("leftImg8bit") || holds("train.txt");
  const bool is_counted = (data.name == "imagenet" || data.name == "cityscapes") && has_files;
  // Planning needs no files where the configuration says how many there are.
  const bool is_absent =
      data.name == "segmentation_folder" && !holds("train.txt") && !holds("train") && !holds("images");
  if (is_absent && limit > 0) return limit;
  const std::int64_t size = is_counted ? 0 : known_size(data.name, split);
  if (size == 0) return open_split(config, split, folder)->size();
  return limit > 0 ? std::min(limit, size) : size;
}

}  // namespace deq
