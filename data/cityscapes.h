#pragma once

#include <array>
#include <filesystem>
#include <memory>
#include <span>
#include <string_view>

#include "data/dataset.h"

namespace deq {

/// The classes that are evaluated, by their number.
inline constexpr std::array<std::string_view, 19> kCityscapesClasses = {
    "road", "sidewalk", "building", "wall", "fence", "pole", "traffic light", "traffic sign", "vegetation", "terrain",
    "sky",  "person",   "rider",    "car",  "truck", "bus",  "train",         "motorcycle",   "bicycle"};

/// Class 0 ... 18 of each label 0 ... 33 in *_gtFine_labelIds.png, kNoLabel for what is not evaluated.
std::span<const int> cityscapes_label_map();

/// Opens Cityscapes: DIR/leftImg8bit/SPLIT/CITY/NAME_leftImg8bit.png with
/// DIR/gtFine/SPLIT/CITY/NAME_gtFine_labelIds.png, DIR/train.txt and DIR/val.txt (see find_label_pairs), or either in
/// the folder cityscapes of DIR; 512 x 1024 pixels unless the options say otherwise. The label map of the options takes
/// the place of the usual one. Source: Cordts et al., The Cityscapes Dataset, CVPR 2016; its scripts' labels.py.
/// Errors: RequestError naming what is missing.
std::shared_ptr<const Dataset> open_cityscapes(const std::filesystem::path& directory, Split split,
                                               const DatasetOptions& options);

/// Finely labelled images, for planning without the files.
inline constexpr std::int64_t kCityscapesTrainImages = 2975;
inline constexpr std::int64_t kCityscapesTestImages = 500;

}  // namespace deq
