#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/shape.h"
#include "data/example.h"

namespace deq {

enum class Split : std::uint8_t { train, test };

constexpr std::string_view name_of(Split split) {
  switch (split) {
    case Split::train: return "train";
    case Split::test: return "test";
  }
  return "?";
}

/// "train" or "test". Errors: RequestError on any other name.
Split split_of(std::string_view name);

/// Statistics that images in [0, 1] are normalised with, one value a channel: (x - mean) / std.
struct Normalisation {
  std::vector<float> mean;
  std::vector<float> std;
};

/// Of the ImageNet images, customary for photographs in general.
Normalisation imagenet_normalisation();

/// What is the same for every sample of a set.
struct DatasetInfo {
  std::string name;
  Shape image_shape{};  ///< [height, width, channels]
  std::vector<std::string> class_names{};
  Normalisation normalisation{};
  Shape label_shape{};  ///< of the labels of one image: [] for its class, [height, width] for one class a pixel
  bool serves_both_splits = false;  ///< the folder has no parts: the same images train and test
};

/// One image and its class. `pixels` is row by row, channels innermost (HWC), and lives as long as the set and `owner`.
struct Sample {
  std::span<const std::uint8_t> pixels;
  std::int32_t label = 0;                        ///< kNoLabel when each pixel has its own
  std::span<const std::int32_t> pixel_labels{};  ///< row by row; kNoLabel where none counts
  std::shared_ptr<const void> owner{};           ///< of images that are made on demand
};

/// A labelled set of 8-bit images of one size. Safe to read from several threads at once.
class Dataset {
 public:
  virtual ~Dataset() = default;
  [[nodiscard]] virtual const DatasetInfo& info() const = 0;
  [[nodiscard]] virtual std::int64_t size() const = 0;
  /// Errors: Error when `index` is not in 0 ... size() - 1.
  [[nodiscard]] virtual Sample sample(std::int64_t index) const = 0;
  /// Makes the example of a batch in `out`. Unless a set does otherwise, that is the sample, when augmented with a
  /// padded random crop and flip still to be done. Errors: as sample; RequestError when a file is bad or wrong.
  virtual void load(const ExampleKey& key, Example& out) const;
  /// Files found bad so far; one message each. Only sets that are read on demand have any.
  [[nodiscard]] virtual std::int64_t bad_file_count() const { return 0; }
  [[nodiscard]] virtual std::vector<std::string> bad_files() const { return {}; }
};

/// A set held in memory.
class ImageSet final : public Dataset {
 public:
  explicit ImageSet(DatasetInfo info);

  [[nodiscard]] const DatasetInfo& info() const override { return info_; }
  [[nodiscard]] std::int64_t size() const override { return static_cast<std::int64_t>(labels_.size()); }
  [[nodiscard]] Sample sample(std::int64_t index) const override;

  void reserve(std::int64_t count);
  /// Appends one image (zeros) and returns its pixels to fill in. Errors: Error when `label` is not a class.
  std::span<std::uint8_t> append(std::int32_t label);

 private:
  DatasetInfo info_;
  std::size_t pixels_per_image_;
  std::vector<std::uint8_t> pixels_;
  std::vector<std::int32_t> labels_;
};

/// What becomes of a file that cannot be decoded.
enum class BadImagePolicy : std::uint8_t {
  skip,  ///< left out and listed
  fail,  ///< refused with the reason
};

/// How a set is opened; each set takes what concerns it.
struct DatasetOptions {
  int height = 0;  ///< of its images, in pixels; 0: the size usual for the set
  int width = 0;
  BadImagePolicy bad_images = BadImagePolicy::skip;
  std::uint64_t seed = 0;                       ///< of drawn sets; 0: the usual one
  std::int64_t size = 0;                        ///< examples of drawn sets; 0: the usual number
  std::array<double, 2> crop_area = {0.08, 1};  ///< share of the image that random crops of classified images cover
  std::array<double, 2> scale = {0.5, 2.1};     ///< random factor of segmented images, in steps of 0.1
  int classes = 0;                              ///< of segmentation_folder
  std::int32_t ignore_label = 255;              ///< label, in files, of pixels that do not count
  std::vector<int> label_map = {};  ///< class of each label in files, -1 or ignore_label for none; empty: itself
};

/// A set that `open_dataset` knows by name.
struct KnownDataset {
  std::string_view name;
  std::string_view description;
  std::string_view files;  ///< what is read, or how to get it
  bool is_drawn = false;   ///< from a seed: it needs no folder
};
std::span<const KnownDataset> known_datasets();

/// Opens the set called `name`, one of known_datasets(). `directory` holds the set's own folder or is that folder;
/// drawn sets ignore it.
/// Errors: RequestError that lists the names, or says which file is missing or wrong and how to get it.
std::shared_ptr<const Dataset> open_dataset(std::string_view name, const std::filesystem::path& directory, Split split,
                                            const DatasetOptions& options = {});

}  // namespace deq
