#include "train/predictor.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/counted.h"
#include "data/random_crop.h"
#include "data/transform.h"
#include "train/datasets.h"
#include "train/interrupt.h"

namespace deq {
namespace {

constexpr int kLargestBatch = 64;

/// Class probabilities of one row of logits, most probable first.
std::vector<ClassProbability> top_classes(std::span<const float> logits, const std::vector<std::string>& names,
                                          int top_k) {
  std::vector<int> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  const auto score = [&](int i) { return static_cast<double>(logits[static_cast<std::size_t>(i)]); };
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return score(a) > score(b); });
  double total = 0;
  for (const int i : order) total += std::exp(score(i) - score(order[0]));
  std::vector<ClassProbability> out;
  for (int k = 0; k < std::min(top_k, static_cast<int>(order.size())); ++k) {
    const int i = order[static_cast<std::size_t>(k)];
    const bool has_name = static_cast<std::size_t>(i) < names.size();
    out.push_back({i, has_name ? names[static_cast<std::size_t>(i)] : std::to_string(i),
                   std::exp(score(i) - score(order[0])) / total});
  }
  return out;
}

/// [N,C,H,W] rows first ... first + count to [B,H,W,C]; rows that are left stay zero.
void copy_to_nhwc(const Tensor& x, std::int64_t first, std::int64_t count, Tensor& images) {
  const std::int64_t channels = x.shape()[1], height = x.shape()[2], width = x.shape()[3];
  const auto from = x.data<float>();
  auto to = images.data<float>();
  std::fill(to.begin(), to.end(), 0.0f);
  for (std::int64_t n = 0; n < count; ++n)
    for (std::int64_t c = 0; c < channels; ++c)
      for (std::int64_t i = 0; i < height * width; ++i)
        to[static_cast<std::size_t>((n * height * width + i) * channels + c)] =
            from[static_cast<std::size_t>(((first + n) * channels + c) * height * width + i)];
}

/// [N,H,W,K] as [N,K,H,W]; scores of classification, [N,K], as they are.
Tensor channels_first(const Tensor& scores) {
  if (scores.shape().rank() != 4) return scores;
  const std::int64_t images = scores.shape()[0], pixels = scores.shape()[1] * scores.shape()[2];
  const std::int64_t classes = scores.shape()[3];
  Tensor out(DType::f32, {images, classes, scores.shape()[1], scores.shape()[2]});
  const auto from = scores.data<float>();
  const auto to = out.data<float>();
  for (std::int64_t n = 0; n < images; ++n)
    for (std::int64_t i = 0; i < pixels; ++i)
      for (std::int64_t k = 0; k < classes; ++k)
        to[static_cast<std::size_t>((n * classes + k) * pixels + i)] =
            from[static_cast<std::size_t>((n * pixels + i) * classes + k)];
  return out;
}

/// The scores; null when the solve was cut short.
const Tensor* run_whole(InferenceStep& step, const Tensor& images) {
  try {
    return &step.run(images);
  } catch (const Stopped&) {
    return nullptr;
  }
}

void check_tensor(const Model& model, const Tensor& x) {
  const Shape& shape = x.shape();
  require(x.dtype() == DType::f32 && shape.rank() == 4, "predict", "the tensor is ", x.type(), ", needs f32[N,C,H,W]");
  require(shape[1] == model.network.config.image_channels, "predict", "the tensor has ", counted(shape[1], "channel"),
          ", the model takes ", counted(model.network.config.image_channels, "channel"));
  require(shape.elements() > 0, "predict", "the tensor ", x.type(), " holds no image");
  const auto values = x.data<float>();
  for (std::size_t i = 0; i < values.size(); ++i)
    require(std::isfinite(values[i]), "predict", "element ", i, " of the tensor (image ",
            i / (values.size() / static_cast<std::size_t>(shape[0])), ") is ", values[i], "; inputs must be finite");
}

}  // namespace

ImageSolve ImageSolve::of(const SolveReport* report, std::size_t row, int unrolled_steps) {
  if (report == nullptr) return {.steps = unrolled_steps};
  const SolveStatus status = report->status[row];
  return {.steps = report->steps[row],
          .residual = report->residual[row],
          .status = status,
          .is_out_of_time = report->is_out_of_time && status == SolveStatus::max_steps};
}

std::string ImageSolve::status_name() const { return std::string(status ? name_of(*status) : "unrolled"); }

std::string ImageSolve::text() const {
  return concat("solver ", counted(steps, "step"), ", ", is_out_of_time ? "out of time" : status_name());
}

Image model_view(const Image& image, const DataConfig& data) {
  return data.name == "imagenet" ? centre_view(image, data.image[0], data.image[1])
                                 : fitted(image, data.image[0], data.image[1]);
}

std::vector<Prediction> predict_files(const LoadedModel& loaded, Backend& backend, std::span<const ImageSource> sources,
                                      int top_k, SolveMetrics& solves, const PredictProgress& progress) {
  const Model& model = *loaded.model;
  const DataConfig& data = model.config.data;
  const int batch = static_cast<int>(std::min<std::size_t>(sources.size(), kLargestBatch));
  require(batch > 0, "predict", "no image was given");
  const Shape shape = model.image_shape(batch);
  const std::size_t image_elements = static_cast<std::size_t>(shape.elements() / batch);
  const Normalisation normalisation = normalisation_of(data);
  const int unrolled_steps = unrolled_steps_of(loaded.checkpoint);
  InferenceStep step(model, backend, shape, model.config.solver, unrolled_steps);
  std::vector<Prediction> out;
  for (std::size_t first = 0; first < sources.size() && !is_interrupted(); first += static_cast<std::size_t>(batch)) {
    if (progress) progress(static_cast<std::int64_t>(first), static_cast<std::int64_t>(sources.size()));
    const std::size_t count = std::min(sources.size() - first, static_cast<std::size_t>(batch));
    Tensor images(DType::f32, shape);
    for (std::size_t i = 0; i < count; ++i) {
      Prediction prediction;
      prediction.file = sources[first + i].name();
      try {
        const Image image = model_view(sources[first + i].read(), data);
        normalise_image(image.pixels, {data.image[0], data.image[1], 3}, normalisation, {},
                        images.data<float>().subspan(i * image_elements, image_elements));
      } catch (const RequestError& error) {
        prediction.error = error.what();
      }
      out.push_back(std::move(prediction));
    }
    const Tensor* const answer = run_whole(step, images);
    if (answer == nullptr) {  // those whose solve was cut have no answer
      out.resize(first);
      break;
    }
    const Tensor& logits = *answer;
    const auto classes = static_cast<std::size_t>(logits.shape()[1]);
    const SolveReport* report = step.program().forward_report();
    if (report) solves.add(*report, static_cast<int>(count));
    for (std::size_t i = 0; i < count; ++i) {
      Prediction& prediction = out[first + i];
      if (!prediction.error.empty()) continue;
      const auto scores = logits.data<float>().subspan(i * classes, classes);
      if (!std::ranges::all_of(scores, [](float score) { return std::isfinite(score); })) {
        prediction.error = concat(prediction.file, ": the model's scores are not finite; its training has failed");
        continue;
      }
      prediction.top = top_classes(scores, loaded.checkpoint.class_names, top_k);
      prediction.solve = ImageSolve::of(report, i, unrolled_steps);
      if (report) prediction.evaluations_saved = report->evaluations_saved();
    }
  }
  return out;
}

Tensor predict_tensor(const LoadedModel& loaded, Backend& backend, const Tensor& x, SolveMetrics& solves,
                      const PredictProgress& progress) {
  const Model& model = *loaded.model;
  check_tensor(model, x);
  const std::int64_t total = x.shape()[0], batch = std::min<std::int64_t>(total, kLargestBatch);
  const Shape shape{batch, x.shape()[2], x.shape()[3], x.shape()[1]};
  InferenceStep step(model, backend, shape, model.config.solver, unrolled_steps_of(loaded.checkpoint));
  Tensor images(DType::f32, shape);
  Tensor out;
  for (std::int64_t first = 0; first < total; first += batch) {
    stop_if_interrupted();
    if (progress) progress(first, total);
    const std::int64_t count = std::min(batch, total - first);
    copy_to_nhwc(x, first, count, images);
    const Tensor& logits = step.run(images);
    if (const SolveReport* report = step.program().forward_report()) solves.add(*report, static_cast<int>(count));
    const std::int64_t row = logits.shape().elements() / batch;
    if (out.is_empty()) out = Tensor(DType::f32, logits.shape().with(0, total));
    const auto from = logits.data<float>().first(static_cast<std::size_t>(count * row));
    std::copy(from.begin(), from.end(), out.data<float>().begin() + first * row);
  }
  return channels_first(out);
}

}  // namespace deq
