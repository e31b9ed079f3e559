#include "train/evaluator.h"

#include <algorithm>
#include <chrono>
#include <cmath>

namespace deq {

double cross_entropy_sum(const Tensor& logits, const Tensor& labels, int valid) {
  const auto classes = static_cast<std::size_t>(logits.shape()[1]);
  const auto scores = logits.data<float>();
  const auto truth = labels.data<std::int32_t>();
  double total = 0;
  for (std::size_t b = 0; b < static_cast<std::size_t>(valid); ++b) {
    const auto row = scores.subspan(b * classes, classes);
    const double largest = *std::max_element(row.begin(), row.end());
    double normaliser = 0;
    for (const float score : row) normaliser += std::exp(static_cast<double>(score) - largest);
    total += largest + std::log(normaliser) - static_cast<double>(row[static_cast<std::size_t>(truth[b])]);
  }
  return total;
}

Evaluation evaluate(InferenceStep& step, std::shared_ptr<const Dataset> dataset, const EvaluationOptions& options) {
  Evaluation out;
  const std::int64_t total = options.limit > 0 ? std::min(options.limit, dataset->size()) : dataset->size();
  Loader loader(dataset, {.batch_size = step.batch(), .is_training = false, .threads = options.threads});
  step.program().parameters_changed();
  const auto start = std::chrono::steady_clock::now();
  double loss = 0;
  std::int64_t correct = 0;
  while (out.images < total) {
    const Batch& batch = loader.next();
    const int valid = static_cast<int>(std::min<std::int64_t>(batch.valid, total - out.images));
    const Tensor& logits = step.run(batch.images);
    loss += cross_entropy_sum(logits, batch.labels, valid);
    correct += count_correct(logits, batch.labels, valid);
    if (const SolveReport* report = step.program().forward_report()) out.forward.add(*report, valid);
    out.images += valid;
    if (options.progress && !options.progress(out.images, total)) break;
  }
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
  if (out.images == 0) return out;
  out.loss = loss / static_cast<double>(out.images);
  out.accuracy = static_cast<double>(correct) / static_cast<double>(out.images);
  out.images_per_s = static_cast<double>(out.images) / std::max(elapsed.count(), 1e-9);
  return out;
}

}  // namespace deq
