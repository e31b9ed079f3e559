#include "data/imagenet.h"

#include <utility>

#include "core/error.h"
#include "data/class_folders.h"
#include "data/lazy_set.h"
#include "data/random_crop.h"

namespace deq {
namespace {

class ClassFolderSet final : public LazySet {
 public:
  ClassFolderSet(DatasetInfo info, ClassFolders folders, const DatasetOptions& options)
      : LazySet(std::move(info), options.bad_images), folders_(std::move(folders)), area_(options.crop_area) {}

  [[nodiscard]] std::int64_t size() const override { return std::ssize(folders_.files); }

 protected:
  void read(std::int64_t index, const ExampleKey& key, Example& out) const override {
    const auto at = static_cast<std::size_t>(index);
    const Image image = read_image(folders_.files[at]);
    const int height = static_cast<int>(info().image_shape[0]), width = static_cast<int>(info().image_shape[1]);
    KeyedRandom random(key.seed, static_cast<std::uint64_t>(key.epoch), static_cast<std::uint64_t>(key.index));
    Image view =
        key.is_augmented ? random_resized_crop(image, height, width, area_, random) : centre_view(image, height, width);
    out.memory = std::move(view.pixels);
    out.labels.assign(1, folders_.labels[at]);
  }

 private:
  ClassFolders folders_;
  std::array<double, 2> area_;
};

}  // namespace

std::shared_ptr<const Dataset> open_imagenet(const std::filesystem::path& directory, Split split,
                                             const DatasetOptions& options) {
  constexpr std::array<std::string_view, 2> kTestNames = {"val", "test"};
  constexpr int kUsualSide = 224;
  const bool is_inside = std::filesystem::is_directory(directory / "imagenet");
  ClassFolders folders = list_class_folders(is_inside ? directory / "imagenet" : directory, split, kTestNames);
  require(!folders.files.empty(), folders.part.string(), "its class folders hold no file");
  DatasetInfo info{.name = "imagenet",
                   .image_shape = {options.height > 0 ? options.height : kUsualSide,
                                   options.width > 0 ? options.width : kUsualSide, 3},
                   .class_names = folders.class_names,
                   .normalisation = imagenet_normalisation(),
                   .serves_both_splits = folders.serves_both_splits};
  return std::make_shared<ClassFolderSet>(std::move(info), std::move(folders), options);
}

}  // namespace deq
