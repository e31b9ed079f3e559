#pragma once

#include <filesystem>
#include <vector>

#include "train/commands/options.h"

namespace deq {

/// deq predict CKPT IMAGE...  or  deq predict CKPT --tensor x.npy --save-logits y.npy
struct PredictRequest {
  RunOptions run;
  std::filesystem::path checkpoint;
  std::vector<std::filesystem::path> images;
  int top_k = 5;
  std::filesystem::path save_dir = "predictions";  ///< of label maps and overlays; segmentation only
  std::filesystem::path sheet;                     ///< PNG of images and answers; empty: none
  std::filesystem::path tensor;                    ///< f32 [N, C, H, W], normalised; empty: images
  std::filesystem::path save_logits;
  SolverLimits limits;
};

/// Classifies images, or their pixels. @returns exit status: 0, or 1 when an image among several could not be read
int run_predict(const PredictRequest& request);

}  // namespace deq
