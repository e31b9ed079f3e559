#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/shape.h"

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

/// What is the same for every sample of a set.
struct DatasetInfo {
  std::string name;
  Shape image_shape{};  ///< [height, width, channels]
  std::vector<std::string> class_names{};
  Normalisation normalisation{};
};

/// One image and its class. `pixels` is row by row, channels innermost (HWC), and lives as long as the set.
struct Sample {
  std::span<const std::uint8_t> pixels;
  std::int32_t label = 0;
};

/// A labelled set of 8-bit images of one size. Safe to read from several threads at once.
class Dataset {
 public:
  virtual ~Dataset() = default;
  [[nodiscard]] virtual const DatasetInfo& info() const = 0;
  [[nodiscard]] virtual std::int64_t size() const = 0;
  /// Errors: Error when `index` is not in 0 ... size() - 1.
  [[nodiscard]] virtual Sample sample(std::int64_t index) const = 0;
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

/// A set that `open_dataset` knows by name.
struct KnownDataset {
  std::string_view name;
  std::string_view description;
  std::string_view files;  ///< what is read, or how to get it
};
std::span<const KnownDataset> known_datasets();

/// Opens the set called `name`: "cifar10", "digits", "folder" (class folders of images) or "shapes" (drawn, reads no
/// files). `directory` holds the set's own folder or is that folder; "shapes" ignores it.
/// Errors: RequestError that lists the names, or says which file is missing or wrong and how to get it.
std::shared_ptr<const Dataset> open_dataset(std::string_view name, const std::filesystem::path& directory, Split split);

}  // namespace deq
