#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "data/image.h"
#include "train/image_source.h"
#include "train/metrics.h"
#include "train/step.h"

namespace deq {

struct ClassProbability {
  int index = 0;
  std::string name;
  double probability = 0;
};

/// How one image's state was found.
struct ImageSolve {
  int steps = 0;  ///< of the solve; applications of f where nothing is solved, in a model of the pre-training phase
  double residual = std::numeric_limits<double>::quiet_NaN();  ///< NaN where nothing is solved
  std::optional<SolveStatus> status = std::nullopt;            ///< none where nothing is solved
  bool is_out_of_time = false;  ///< the time budget ended it, with max_steps for a status

  /// Of row `row` of a report; null: of a model that applies f `unrolled_steps` times.
  static ImageSolve of(const SolveReport* report, std::size_t row, int unrolled_steps);
  /// The status' name, or "unrolled".
  [[nodiscard]] std::string status_name() const;
  /// E.g. "solver 12 steps, converged".
  [[nodiscard]] std::string text() const;
};

/// Answer for one image. `error` is empty unless the file could not be read, or the answer is no numbers.
struct Prediction {
  std::string file;
  std::vector<ClassProbability> top;  ///< most probable first
  ImageSolve solve = {};
  double evaluations_saved = 0;  ///< share of the evaluations of f of its batch that compaction spared
  std::string error;
};

/// Called before every batch with the images answered and those given.
using PredictProgress = std::function<void(std::int64_t done, std::int64_t total)>;

/// The image as the model sees it in evaluation: scaled and cut to data.image.
Image model_view(const Image& image, const DataConfig& data);

/// Classifies images: each is scaled and cut to the model's size and normalised as in training.
/// One that cannot be read gets an `error`; the others are answered. The solves are added to `solves`. An interrupt
/// (train/interrupt.h) ends it with the answers so far.
std::vector<Prediction> predict_files(const LoadedModel& loaded, Backend& backend, std::span<const ImageSource> sources,
                                      int top_k, SolveMetrics& solves, const PredictProgress& progress = {});

/// Logits [N, classes] of x [N,C,H,W], already normalised; in segmentation [N, classes, rows, columns] at the size of
/// branch 0. The solves are added to `solves`.
/// Errors (RequestError): not a batch of images for this model, no image, a value that is not finite. Throws
/// Interrupted between batches after an interrupt.
Tensor predict_tensor(const LoadedModel& loaded, Backend& backend, const Tensor& x, SolveMetrics& solves,
                      const PredictProgress& progress = {});

}  // namespace deq
