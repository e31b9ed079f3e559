#pragma once

#include <filesystem>
#include <memory>

#include "data/dataset.h"
#include "train/config.h"

namespace deq {

/// One split of the configured set: its first `train_size` or `test_size` images, normalised with the configured
/// statistics, so that a checkpoint's configuration is all that inference needs.
/// Errors (RequestError): as open_dataset; images or class count that are not the configured ones.
std::shared_ptr<const Dataset> open_split(const Config& config, Split split, const std::filesystem::path& folder);

/// Images in a split without reading it where the set is known (cifar10, shapes); opens it otherwise.
std::int64_t split_size(const Config& config, Split split, const std::filesystem::path& folder);

}  // namespace deq
