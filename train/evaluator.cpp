#include "train/evaluator.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <optional>

#include "train/confusion_matrix.h"

namespace deq {
namespace {

/// -log softmax(row)[truth].
double cross_entropy(std::span<const float> row, std::int32_t truth) {
  const double largest = *std::max_element(row.begin(), row.end());
  double normaliser = 0;
  for (const float score : row) normaliser += std::exp(static_cast<double>(score) - largest);
  return largest + std::log(normaliser) - static_cast<double>(row[static_cast<std::size_t>(truth)]);
}

/// What an evaluation adds up, over images or over their pixels.
class Tally {
 public:
  Tally(const DatasetInfo& info, const std::vector<double>& class_weights) : weights_(class_weights) {
    const std::size_t classes = info.class_names.size();
    if (weights_.empty()) weights_.assign(classes, 1.0);
    if (info.label_shape.rank() > 0) confusion_.emplace(static_cast<int>(classes));
  }

  /// The first `valid` images of scores [B,..,K] and labels [B,..].
  void add(const Tensor& scores, const Tensor& labels, int valid) {
    const auto classes = static_cast<std::size_t>(scores.shape()[-1]);
    const auto rows_per_image = static_cast<std::size_t>(labels.shape().elements() / labels.shape()[0]);
    for (std::size_t i = 0; i < static_cast<std::size_t>(valid) * rows_per_image; ++i) {
      const std::int32_t truth = labels.data<std::int32_t>()[i];
      if (truth < 0) continue;
      const auto row = scores.data<float>().subspan(i * classes, classes);
      const auto given = static_cast<int>(std::max_element(row.begin(), row.end()) - row.begin());
      const double weight = weights_[static_cast<std::size_t>(truth)];
      loss_ += weight * cross_entropy(row, truth);
      weight_ += weight;
      correct_ += given == truth ? 1 : 0;
      ++counted_;
      if (confusion_) confusion_->add(truth, given);
    }
  }

  void finish(Evaluation& out) const {
    out.loss = weight_ > 0 ? loss_ / weight_ : 0;
    out.accuracy = counted_ > 0 ? static_cast<double>(correct_) / static_cast<double>(counted_) : 0;
    if (!confusion_) return;
    out.miou = confusion_->mean_intersection_over_union();
    out.class_iou = confusion_->intersection_over_union();
  }

 private:
  std::vector<double> weights_;
  std::optional<ConfusionMatrix> confusion_;  ///< of pixels
  double loss_ = 0;
  double weight_ = 0;
  std::int64_t correct_ = 0;
  std::int64_t counted_ = 0;
};

}  // namespace

double score_of(const Evaluation& evaluation) {
  return std::isnan(evaluation.miou) ? evaluation.accuracy : evaluation.miou;
}

Evaluation evaluate(InferenceStep& step, std::shared_ptr<const Dataset> dataset, const EvaluationOptions& options) {
  Evaluation out;
  const std::int64_t total = options.limit > 0 ? std::min(options.limit, dataset->size()) : dataset->size();
  Loader loader(dataset, {.batch_size = step.batch(), .is_training = false, .threads = options.threads});
  step.program().parameters_changed();
  const auto start = std::chrono::steady_clock::now();
  Tally tally(dataset->info(), options.class_weights);
  std::int64_t done = 0;
  while (done < total) {
    const Batch& batch = loader.next();
    const int valid = static_cast<int>(std::min<std::int64_t>(batch.valid, total - done));
    tally.add(step.run(batch.images), batch.labels, valid);
    if (const SolveReport* report = step.program().forward_report()) out.forward.add(*report, valid, batch.is_bad);
    done += valid;
    out.bad_images += batch.count_bad(valid);
    if (options.progress && !options.progress(done, total)) break;
  }
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
  out.images = done - out.bad_images;
  if (out.images == 0) return out;
  tally.finish(out);
  out.images_per_s = static_cast<double>(out.images) / std::max(elapsed.count(), 1e-9);
  return out;
}

}  // namespace deq
