#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <vector>

#include "data/loader.h"
#include "train/metrics.h"
#include "train/step.h"

namespace deq {

/// Result of running a model over a data set.
struct Evaluation {
  double loss = 0;      ///< mean cross-entropy, in segmentation over pixels that count, weighted by class
  double accuracy = 0;  ///< in [0, 1]; in segmentation share of right pixels
  double miou = std::numeric_limits<double>::quiet_NaN();  ///< mean intersection over union; segmentation only
  std::vector<double> class_iou = {};                      ///< of each class; segmentation only
  std::int64_t images = 0;
  std::int64_t bad_images = 0;  ///< left out because their file was bad; not among `images`
  double images_per_s = 0;
  SolveMetrics forward;
};

struct EvaluationOptions {
  std::int64_t limit = 0;                  ///< most images; 0: all
  int threads = 1;                         ///< of the loader
  std::vector<double> class_weights = {};  ///< of the segmentation loss; empty: all 1
  /// Called after every batch with images done and images in all; returns false to stop early.
  std::function<bool(std::int64_t done, std::int64_t total)> progress = {};
};

/// What a run is judged by: mean intersection over union in segmentation, accuracy otherwise.
double score_of(const Evaluation& evaluation);

/// Runs `step` over `dataset` in order. Rows that pad the last batch do not count. For segmentation `step` must give
/// scores at ScoreSize::image.
Evaluation evaluate(InferenceStep& step, std::shared_ptr<const Dataset> dataset, const EvaluationOptions& options);

}  // namespace deq
