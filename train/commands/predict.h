#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "train/commands/options.h"
#include "train/predictor.h"
#include "train/progress.h"

namespace deq {

/// deq predict CKPT IMAGE...  or  deq predict CKPT --tensor x.npy --save-logits y.npy
struct PredictRequest {
  RunOptions run;
  std::filesystem::path checkpoint;
  std::vector<std::filesystem::path> images;  ///< files, folders of them, "-" for standard input
  int top_k = 5;
  std::filesystem::path save_dir = "predictions";  ///< of label maps and overlays; segmentation only
  std::filesystem::path sheet;                     ///< PNG of images and answers; empty: none
  std::filesystem::path tensor;                    ///< f32 [N, C, H, W], normalised; empty: images
  std::filesystem::path save_logits;
  std::vector<std::string> overrides;  ///< --set section.key=value
  SolverLimits limits;
};

/// Classifies images, or their pixels. @returns exit status: predict_status
int run_predict(const PredictRequest& request);

/// A bar on `progress` from the second batch on: what is done at once needs none.
PredictProgress shown_on(Progress& progress);

/// Exit status: 130 when an interrupt left some of the `given` images without an answer, else 2 when the only one could
/// not be read, 1 when one among several could not.
int predict_status(std::size_t given, std::size_t answered, bool has_failed);

}  // namespace deq
