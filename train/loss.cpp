#include "train/loss.h"

#include "core/builder.h"
#include "layers/pixel_cross_entropy.h"

namespace deq {
namespace {

/// [classes, 1]: data.class_weights, or ones.
std::shared_ptr<Tensor> class_weights(const Config& config) {
  auto out = std::make_shared<Tensor>(DType::f32, Shape{config.model.classes, 1});
  const std::vector<double>& weights = config.data.class_weights;
  for (std::size_t i = 0; i < out->data<float>().size(); ++i)
    out->data<float>()[i] = weights.empty() ? 1.0F : static_cast<float>(weights[i]);
  return out;
}

}  // namespace

TrainingLoss::TrainingLoss(const Model& model, Value label)
    : is_segmentation_(model.is_segmentation()), label_(label), class_weights_(class_weights(model.config)) {}

Value TrainingLoss::operator()(Value logits) const {
  if (is_segmentation_) return layers::pixel_cross_entropy(logits, label_, class_weights_).loss;
  return mean(softmax_cross_entropy(logits, label_).loss);
}

Value TrainingLoss::answers(Value logits) const {
  if (!is_segmentation_) return logits;
  // The backward pass keeps the probabilities anyway.
  return layers::pixel_cross_entropy(logits, label_, class_weights_).probability;
}

}  // namespace deq
