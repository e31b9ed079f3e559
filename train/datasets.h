#pragma once

#include <filesystem>
#include <memory>

#include "data/dataset.h"
#include "train/config.h"

namespace deq {

/// What the images of a split are for. In segmentation it decides their size: data.image or data.eval_image.
enum class View : std::uint8_t { training, evaluation };

/// One split of the configured set: its first `train_size` or `test_size` images, normalised with the configured
/// statistics, so that a checkpoint's configuration is all that inference needs.
/// Errors (RequestError): as open_dataset; images, classes or a task that are not the configured ones.
std::shared_ptr<const Dataset> open_split(const Config& config, Split split, const std::filesystem::path& folder,
                                          View view);

/// As the split is mostly used: the training split for training, the test split for evaluation.
std::shared_ptr<const Dataset> open_split(const Config& config, Split split, const std::filesystem::path& folder);

/// The statistics that the configuration's images are normalised with.
Normalisation normalisation_of(const DataConfig& data);

/// Images in a split without reading it where the set is known (cifar10, drawn sets, and imagenet and
/// cityscapes when their files are not there); opens it otherwise.
std::int64_t split_size(const Config& config, Split split, const std::filesystem::path& folder);

}  // namespace deq
