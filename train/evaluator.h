#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "data/loader.h"
#include "train/metrics.h"
#include "train/step.h"

namespace deq {

/// Result of running a model over a data set.
struct Evaluation {
  double loss = 0;      ///< mean cross-entropy
  double accuracy = 0;  ///< in [0, 1]
  std::int64_t images = 0;
  double images_per_s = 0;
  SolveMetrics forward;
};

struct EvaluationOptions {
  std::int64_t limit = 0;  ///< most images; 0: all
  int threads = 1;         ///< of the loader
  /// Called after every batch with images done and images in all; returns false to stop early.
  std::function<bool(std::int64_t done, std::int64_t total)> progress = {};
};

/// Runs `step` over `dataset` in order. Rows that pad the last batch do not count.
Evaluation evaluate(InferenceStep& step, std::shared_ptr<const Dataset> dataset, const EvaluationOptions& options);

/// Sum over the first `valid` rows of -log softmax(logits)[label].
double cross_entropy_sum(const Tensor& logits, const Tensor& labels, int valid);

}  // namespace deq
