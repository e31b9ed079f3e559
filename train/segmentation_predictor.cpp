#include "train/segmentation_predictor.h"

#include <algorithm>
#include <set>

#include "data/labelled_image.h"
#include "data/transform.h"
#include "train/class_colours.h"
#include "train/datasets.h"
#include "train/interrupt.h"

namespace deq {
namespace {

namespace fs = std::filesystem;

/// The best class of every pixel of the top left height x width of one image's scores [H,W,K].
PixelLabels best_classes(std::span<const float> scores, const Shape& shape, const FittedSize& size) {
  const auto classes = static_cast<std::size_t>(shape[-1]), columns = static_cast<std::size_t>(shape[2]);
  PixelLabels out(size.height, size.width, 0);
  for (int y = 0; y < size.height; ++y) {
    for (int x = 0; x < size.width; ++x) {
      const std::size_t pixel = static_cast<std::size_t>(y) * columns + static_cast<std::size_t>(x);
      const auto row = scores.subspan(pixel * classes, classes);
      out.at(y, x) = static_cast<std::int32_t>(std::max_element(row.begin(), row.end()) - row.begin());
    }
  }
  return out;
}

std::vector<ClassShare> class_shares(const PixelLabels& map, const std::vector<std::string>& names) {
  std::vector<std::int64_t> pixels;
  for (const std::int32_t label : map.labels) {
    const auto at = static_cast<std::size_t>(label);
    if (at >= pixels.size()) pixels.resize(at + 1);
    ++pixels[at];
  }
  std::vector<ClassShare> out;
  for (std::size_t i = 0; i < pixels.size(); ++i) {
    if (pixels[i] == 0) continue;
    const int index = static_cast<int>(i);
    out.push_back({.index = index,
                   .name = i < names.size() ? names[i] : std::to_string(i),
                   .colour = colour_text(class_colour(index)),
                   .share = static_cast<double>(pixels[i]) / static_cast<double>(map.labels.size())});
  }
  std::ranges::stable_sort(out, [](const ClassShare& a, const ClassShare& b) { return a.share > b.share; });
  return out;
}

/// Runs the model on batches of files and writes what it says.
class Segmenter {
 public:
  Segmenter(const LoadedModel& loaded, Backend& backend, std::size_t files, fs::path save_dir)
      : loaded_(loaded), save_dir_(std::move(save_dir)) {
    const Model& model = *loaded.model;
    const int most = model.config.train.evaluation_batch();
    shape_ = model.evaluation_shape(static_cast<int>(std::min<std::size_t>(files, static_cast<std::size_t>(most))));
    step_ =
        std::make_unique<InferenceStep>(model, backend, shape_, model.config.solver,
                                        unrolled_steps_of(loaded.checkpoint), /*plans_only=*/false, ScoreSize::image);
    images_ = Tensor(DType::f32, shape_);
    normalisation_ = normalisation_of(model.config.data);
  }

  [[nodiscard]] std::size_t batch() const { return static_cast<std::size_t>(shape_[0]); }

  void run(std::span<const ImageSource> sources, std::vector<SegmentationPrediction>& out) {
    const std::size_t first = out.size();
    std::vector<Image> originals(sources.size());
    for (std::size_t i = 0; i < sources.size(); ++i) {
      out.push_back({.file = sources[i].name()});
      try {
        originals[i] = sources[i].read();
        fill_row(i, originals[i]);
      } catch (const RequestError& error) {
        out.back().error = error.what();
      }
    }
    const Tensor& scores = step_->run(images_);
    const std::size_t row = scores.data<float>().size() / batch();
    for (std::size_t i = 0; i < sources.size(); ++i) {
      SegmentationPrediction& prediction = out[first + i];
      if (!prediction.error.empty()) continue;
      answer(prediction, sources[i].stem(), originals[i], scores.data<float>().subspan(i * row, row), scores.shape());
      prediction.solve = ImageSolve::of(step_->program().forward_report(), i, unrolled_steps_of(loaded_.checkpoint));
    }
  }

 private:
  void fill_row(std::size_t row, const Image& image) {
    const int height = static_cast<int>(shape_[1]), width = static_cast<int>(shape_[2]);
    const std::size_t elements = images_.data<float>().size() / batch();
    normalise_image(fitted_inside(image, height, width).pixels, {height, width, 3}, normalisation_, {},
                    images_.data<float>().subspan(row * elements, elements));
  }

  void answer(SegmentationPrediction& prediction, const std::string& name, const Image& image,
              std::span<const float> scores, const Shape& shape) {
    const FittedSize size =
        fitted_size(image.height, image.width, static_cast<int>(shape_[1]), static_cast<int>(shape_[2]));
    const PixelLabels map = resized_window(
        best_classes(scores, shape, size),
        {.full_height = image.height, .full_width = image.width, .height = image.height, .width = image.width});
    const std::string stem = free_stem(name);
    prediction.labels = save_dir_ / (stem + "-labels.png");
    prediction.overlay = save_dir_ / (stem + "-overlay.png");
    write_pixel_labels(prediction.labels, map);
    write_png(prediction.overlay, class_overlay(image, map));
    prediction.classes = class_shares(map, loaded_.checkpoint.class_names);
  }

  std::string free_stem(const std::string& stem) {
    std::string out = stem;
    for (int i = 2; !stems_.insert(out).second; ++i) out = concat(stem, "-", i);
    return out;
  }

  const LoadedModel& loaded_;
  fs::path save_dir_;
  Shape shape_;
  std::unique_ptr<InferenceStep> step_;
  Tensor images_;
  Normalisation normalisation_;
  std::set<std::string> stems_;
};

}  // namespace

std::vector<SegmentationPrediction> predict_label_maps(const LoadedModel& loaded, Backend& backend,
                                                       std::span<const ImageSource> sources, const fs::path& save_dir,
                                                       const PredictProgress& progress) {
  require(!sources.empty(), "predict", "no image was given");
  std::error_code failure;
  fs::create_directories(save_dir, failure);
  check(!failure, save_dir.string(), "cannot be created: ", failure.message());
  Segmenter segmenter(loaded, backend, sources.size(), save_dir);
  std::vector<SegmentationPrediction> out;
  for (std::size_t first = 0; first < sources.size() && !is_interrupted(); first += segmenter.batch()) {
    if (progress) progress(static_cast<std::int64_t>(first), static_cast<std::int64_t>(sources.size()));
    try {
      segmenter.run(sources.subspan(first, std::min(segmenter.batch(), sources.size() - first)), out);
    } catch (const Stopped&) {
      out.resize(first);  // those whose solve was cut have no answer
      break;
    }
  }
  return out;
}

}  // namespace deq
