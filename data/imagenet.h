#pragma once

#include <filesystem>
#include <memory>

#include "data/dataset.h"

namespace deq {

/// Opens class folders of images of any size, laid out as ImageNet is: DIR/train/CLASS/*, DIR/val/CLASS/* (or test), or
/// the folder imagenet of DIR. Files are decoded when an example is asked for. Augmented examples are random resized
/// crops, others the centre of the scaled image, 224 x 224 unless the options say otherwise.
/// Errors: as list_class_folders; RequestError when there is no file.
std::shared_ptr<const Dataset> open_imagenet(const std::filesystem::path& directory, Split split,
                                             const DatasetOptions& options);

/// Images of the 2012 classification challenge, for planning without its files.
inline constexpr std::int64_t kImagenetTrainImages = 1'281'167;
inline constexpr std::int64_t kImagenetTestImages = 50'000;

}  // namespace deq
