#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "train/predictor.h"

namespace deq {

/// How much of an image one class covers.
struct ClassShare {
  int index = 0;
  std::string name;
  std::string colour;  ///< in the overlay, "#rrggbb"
  double share = 0;    ///< of the pixels, in [0, 1]
};

/// Answer of a segmentation model for one image. `error` is empty unless the file could not be read.
struct SegmentationPrediction {
  std::string file;
  std::filesystem::path labels = {};     ///< PNG of the image's size: each grey value is a class
  std::filesystem::path overlay = {};    ///< PNG of the image tinted by class
  std::vector<ClassShare> classes = {};  ///< those that occur, largest share first
  ImageSolve solve = {};
  std::string error = {};
};

/// Segments images: each is scaled to fit into the size of evaluation, the answer scaled back to the image's size.
/// Writes DIR/STEM-labels.png and DIR/STEM-overlay.png for each, with -2, -3, ... after a stem that is taken.
/// One that cannot be read gets an `error`; the others are answered. An interrupt ends it with the answers so far.
/// Errors: RequestError when no image is given; Error when a PNG cannot be written.
std::vector<SegmentationPrediction> predict_label_maps(const LoadedModel& loaded, Backend& backend,
                                                       std::span<const ImageSource> sources,
                                                       const std::filesystem::path& save_dir,
                                                       const PredictProgress& progress = {});

}  // namespace deq
