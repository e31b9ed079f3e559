#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "data/dataset.h"

namespace deq {

struct ImageFolderOptions {
  int height = 32;  ///< every image is scaled to cover height x width and cut about its centre
  int width = 32;
  BadImagePolicy bad_images = BadImagePolicy::skip;
};

/// A set and what was left out of it: one message a file, naming it and the reason.
struct ImageFolder {
  std::shared_ptr<const ImageSet> images;
  std::vector<std::string> skipped;
};

/// Reads DIR/train/CLASS/* or DIR/test/CLASS/* (or val), or DIR/CLASS/* when there is neither (the same images then
/// serve both splits). Classes are the sub-folders of the training part in alphabetical order, so both splits agree;
/// hidden files are ignored. Normalised with the ImageNet statistics. Errors: RequestError when the folder or the split
/// is missing, has no class folders, holds an unknown class or no readable image.
ImageFolder read_image_folder(const std::filesystem::path& directory, Split split,
                              const ImageFolderOptions& options = {});

}  // namespace deq
