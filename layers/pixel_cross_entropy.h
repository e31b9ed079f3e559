#pragma once

#include <memory>

#include "core/graph.h"
#include "core/tensor.h"

namespace deq::layers {

/// Scores enlarged to the size of the labels, and their loss.
struct PixelCrossEntropy {
  Value loss;         ///< scalar
  Value probability;  ///< [B * H * W, classes], softmax of the enlarged scores
};

/// Weighted mean of the cross-entropy over the pixels that count:
/// sum_p weight[label_p] * -log softmax(scores_p)[label_p] / sum_p weight[label_p], 0 when no pixel counts.
///
/// Scores are enlarged to the labels' size first (bilinear, corners aligned).
/// @param scores   f32 [B,h,w,classes]
/// @param labels   i32 [B,H,W]; pixels whose label is not in 0 ... classes - 1 do not count
/// @param weights  f32 [classes, 1]; kept by the graph
/// Errors: a value is empty, there are no weights, or the shapes do not fit.
/// Source of the loss: Bai, Koltun, Kolter, Multiscale Deep Equilibrium Models, NeurIPS 2020 (Cityscapes).
PixelCrossEntropy pixel_cross_entropy(Value scores, Value labels, std::shared_ptr<Tensor> weights);

/// [B,h,w,C] enlarged to [B,height,width,C] as the loss sees it; unchanged when it has that size already.
Value enlarged_scores(Value scores, std::int64_t height, std::int64_t width);

}  // namespace deq::layers
