#include "train/datasets.h"

#include <algorithm>

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

 private:
  std::shared_ptr<const Dataset> base_;
  DatasetInfo info_;
  std::int64_t size_;
};

ShapesOptions shapes_options(const DataConfig& data) {
  ShapesOptions out;
  if (data.seed != 0) out.seed = static_cast<std::uint64_t>(data.seed);
  if (data.train_size > 0) out.train_images = data.train_size;
  if (data.test_size > 0) out.test_images = data.test_size;
  return out;
}

std::vector<float> to_float(const std::vector<double>& values) { return {values.begin(), values.end()}; }

int configured_size(const DataConfig& data, Split split) {
  return split == Split::train ? data.train_size : data.test_size;
}

}  // namespace

std::shared_ptr<const Dataset> open_split(const Config& config, Split split, const std::filesystem::path& folder) {
  const DataConfig& data = config.data;
  std::shared_ptr<const Dataset> base;
  if (data.name == "shapes")
    base = draw_shapes(split, shapes_options(data));
  else
    base = open_dataset(data.name, folder, split);
  const DatasetInfo& info = base->info();
  const Shape wanted{data.image[0], data.image[1], static_cast<std::int64_t>(data.mean.size())};
  require(info.image_shape == wanted, "data", "images of '", data.name, "' are ", info.image_shape,
          " but data.image and data.mean ask for ", wanted);
  require(static_cast<int>(info.class_names.size()) == config.model.classes, "data", "'", data.name, "' has ",
          info.class_names.size(), " classes but model.classes is ", config.model.classes);
  return std::make_shared<ConfiguredSet>(base, configured_size(data, split),
                                         Normalisation{to_float(data.mean), to_float(data.std)});
}

std::int64_t split_size(const Config& config, Split split, const std::filesystem::path& folder) {
  const DataConfig& data = config.data;
  std::int64_t size = 0;
  if (data.name == "shapes") {
    const ShapesOptions options = shapes_options(data);
    return split == Split::train ? options.train_images : options.test_images;
  }
  if (data.name == "imagenet")
    size = split == Split::train ? 1281167 : 50000;
  else if (data.name == "cifar10")
    size = split == Split::train ? 50000 : 10000;
  else
    return open_split(config, split, folder)->size();
  const std::int64_t limit = configured_size(data, split);
  return limit > 0 ? std::min(limit, size) : size;
}

}  // namespace deq
