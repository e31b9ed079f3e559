#pragma once

#include <filesystem>
#include <span>
#include <string>

#include "train/predictor.h"

namespace deq {

/// What a sheet of predictions shows.
struct SheetSummary {
  int shown = 0;
  int known = 0;  ///< images whose file name gives their class
  int right = 0;  ///< of the known ones
};

/// The class that the name of a file gives: the longest class name it starts with, followed by '-', as `deq data
/// export` writes it. -1: none.
int class_of_file(const std::filesystem::path& file, std::span<const std::string> class_names);

/// Writes a contact sheet of the `sources` that the `predictions` are of, one each in this order: each image as the
/// model sees it, class and probability below, green, or red with the true class when the file's name gives another
/// one. Files that could not be read are left out. Errors: Error when no file could be read or the sheet cannot be
/// written.
SheetSummary write_prediction_sheet(const std::filesystem::path& path, std::span<const Prediction> predictions,
                                    std::span<const ImageSource> sources, const LoadedModel& loaded);

/// One line, e.g. "sheet.png: 40 images, 38 of 40 right".
std::string describe(const SheetSummary& summary, const std::filesystem::path& path);

}  // namespace deq
