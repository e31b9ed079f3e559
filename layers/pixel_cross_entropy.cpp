#include "layers/pixel_cross_entropy.h"

#include "core/builder.h"

namespace deq::layers {

Value enlarged_scores(Value scores, std::int64_t height, std::int64_t width) {
  const Shape& size = scores.shape("enlarged_scores");
  if (size[1] == height && size[2] == width) return scores;
  return resize(scores, {.mode = ResizeMode::bilinear, .height = height, .width = width, .align_corners = true});
}

PixelCrossEntropy pixel_cross_entropy(Value scores, Value labels, std::shared_ptr<Tensor> weights) {
  constexpr const char* kName = "pixel cross-entropy";
  const Shape size = labels.shape(kName);
  const std::int64_t classes = scores.shape(kName)[3];
  check(size.rank() == 3 && size[0] == scores.shape()[0], kName, "labels are ", labels.type(),
        ", expected i32[B,H,W] for scores ", scores.type());
  check(weights != nullptr, kName, "there are no weights; give a tensor of ones to count all classes alike");
  check(weights->type() == TensorType{DType::f32, {classes, 1}}, kName, "weights are ", weights->type(),
        ", expected f32[", classes, ",1]");
  const std::int64_t pixels = size.elements();
  const Value flat_labels = reshape(labels, {pixels});
  const Value flat_scores = reshape(enlarged_scores(scores, size[1], size[2]), {pixels, classes});
  const CrossEntropyValues entropy = softmax_cross_entropy(flat_scores, flat_labels);
  // Labels outside the table read weight 0.
  const Value table = labels.owner(kName).parameter("loss.class_weights", std::move(weights));
  const Value weight = reshape(gather(table, flat_labels), {pixels});
  // Keeps 0 / 0 from a batch in which nothing counts; far below any weight that is meant.
  constexpr double kLeastWeight = 1e-12;
  return {.loss = sum(entropy.loss * weight) / (sum(weight) + kLeastWeight), .probability = entropy.probability};
}

}  // namespace deq::layers
