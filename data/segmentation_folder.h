#pragma once

#include <filesystem>
#include <memory>
#include <vector>

#include "data/dataset.h"
#include "data/segmentation_set.h"

namespace deq {

/// An image file and the PNG with its labels.
struct LabelPair {
  std::filesystem::path image;
  std::filesystem::path labels;
};

/// Finds the pairs of a split, in this order of preference:
/// - DIR/train.txt or DIR/val.txt (or test.txt): one "IMAGE LABELS" a line, relative to DIR; # begins a comment;
/// - DIR/train/images/* with DIR/train/labels/*.png, or val (or test) instead of train;
/// - DIR/images/* with DIR/labels/*.png, which then serve both splits.
/// In folders a pair shares its name up to the ending.
/// Errors: RequestError when there is no such file or folder, a line is wrong, a partner is missing, or no pair is
/// left.
std::vector<LabelPair> find_label_pairs(const std::filesystem::path& directory, Split split);

/// Reads a pair, labels as classes. Errors: BadImage when a file is damaged; RequestError when the sizes differ or a
/// label is no class.
LabelledImage read_label_pair(const LabelPair& pair, const LabelRule& rule);

/// Opens pairs as a set. Class names are the lines of DIR/classes.txt, or "class 0", "class 1", ...
/// Errors: as find_label_pairs; RequestError when classes.txt does not have options.classes lines.
std::shared_ptr<const Dataset> open_segmentation_folder(const std::filesystem::path& directory, Split split,
                                                        const DatasetOptions& options);

}  // namespace deq
