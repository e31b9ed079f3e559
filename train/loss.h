#pragma once

#include "train/model.h"

namespace deq {

/// What training minimises, as a function of a model's scores: the mean cross-entropy over images, in segmentation
/// over the pixels that count, weighted by data.class_weights.
class TrainingLoss {
 public:
  /// @param label  i32 [B], or [B,H,W] in segmentation
  TrainingLoss(const Model& model, Value label);

  /// Scalar, of logits [B,classes] or scores [B,h,w,classes].
  [[nodiscard]] Value operator()(Value logits) const;
  /// Values [rows, classes], one row a label, whose largest is the answer.
  [[nodiscard]] Value answers(Value logits) const;

 private:
  bool is_segmentation_;
  Value label_;
  std::shared_ptr<Tensor> class_weights_;  // [classes, 1]
};

}  // namespace deq
