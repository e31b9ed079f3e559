#include "train/commands/predict.h"

#include <algorithm>
#include <cmath>
#include <iostream>
#include <nlohmann/json.hpp>

#include "data/npy.h"
#include "train/commands/predict_labels.h"
#include "train/make_backend.h"
#include "train/prediction_sheet.h"
#include "train/predictor.h"
#include "train/solve_json.h"

namespace deq {
namespace {

using Json = nlohmann::ordered_json;

Json prediction_json(const Prediction& prediction) {
  if (!prediction.error.empty()) return {{"file", prediction.file}, {"error", prediction.error}};
  Json top = Json::array();
  for (const ClassProbability& entry : prediction.top)
    top.push_back({{"class", entry.index}, {"name", entry.name}, {"probability", entry.probability}});
  return {{"file", prediction.file},
          {"top", top},
          {"solver",
           {{"steps", prediction.steps},
            {"residual", prediction.residual},
            {"status", std::string(name_of(prediction.status))},
            {"evaluations_saved", prediction.evaluations_saved}}}};
}

void print_prediction(const Prediction& prediction) {
  if (!prediction.error.empty()) return;
  std::cout << prediction.file << ":";
  for (const ClassProbability& entry : prediction.top)
    std::cout << "  " << entry.name << " " << std::round(entry.probability * 1000) / 10 << " %";
  std::cout << "  (solver " << prediction.steps << " steps, " << name_of(prediction.status) << ")\n";
}

void report_solves(const PredictRequest& request, const SolveMetrics& solves) {
  if (!request.run.is_quiet && solves.samples > 0)
    std::cerr << "solver " << solves.steps << " steps on average, " << spared(solves) << "\n";
}

/// @returns exit status: 2 when the only image could not be read, 1 when one among several could not
int predict_images(const PredictRequest& request, const LoadedModel& loaded, Backend& backend) {
  SolveMetrics solves;
  const std::vector<Prediction> predictions = predict_files(loaded, backend, request.images, request.top_k, solves);
  const auto has_error = [](const Prediction& p) { return !p.error.empty(); };
  const bool has_failed = std::any_of(predictions.begin(), predictions.end(), has_error);
  if (!has_failed) report_solves(request, solves);  // beside errors stderr holds nothing else
  Json all = Json::array();
  for (const Prediction& prediction : predictions) {
    if (!prediction.error.empty()) std::cerr << "deq: " << prediction.error << "\n";
    all.push_back(prediction_json(prediction));
    if (!request.run.is_json) print_prediction(prediction);
  }
  if (request.run.is_json) std::cout << all.dump(2) << "\n";
  if (!request.sheet.empty() && !std::all_of(predictions.begin(), predictions.end(), has_error)) {
    const SheetSummary sheet = write_prediction_sheet(request.sheet, predictions, loaded);
    if (!request.run.is_quiet) std::cerr << describe(sheet, request.sheet) << "\n";
  }
  if (has_failed && predictions.size() == 1) return 2;
  return has_failed ? 1 : 0;
}

}  // namespace

int run_predict(const PredictRequest& request) {
  LoadedModel loaded = load_model(request.checkpoint);
  apply(request.limits, loaded.model->config.solver);
  const std::unique_ptr<Backend> backend = make_backend(request.run.device, loaded.model->config.compute);
  if (request.tensor.empty() && loaded.model->is_segmentation()) return predict_labels(request, loaded, *backend);
  if (request.tensor.empty()) return predict_images(request, loaded, *backend);
  SolveMetrics solves;
  write_npy(request.save_logits, predict_tensor(loaded, *backend, read_npy(request.tensor), solves));
  report_solves(request, solves);
  if (!request.run.is_quiet) std::cerr << "wrote " << request.save_logits.string() << "\n";
  return 0;
}

}  // namespace deq
