#pragma once

#include <optional>
#include <vector>

#include "layers/batch_norm.h"
#include "layers/conv.h"
#include "layers/linear.h"
#include "layers/mdeq/config.h"

namespace deq::mdeq {

/// Three convolutions (1x1 to `width`, 3x3, 1x1 to 4 `width`) with a shortcut, which is a 1x1 convolution when the
/// channels differ. The inner norms have no weight and bias of their own.
struct Bottleneck {
  Bottleneck(const ParamScope& scope, int in, int width, double momentum);

  Value operator()(Value x) const;

  layers::Conv2d conv1, conv2, conv3;
  layers::BatchNorm bn1, bn2, bn3;
  std::optional<layers::Conv2d> shortcut;
  std::optional<layers::BatchNorm> shortcut_norm;
};

/// States to class scores: every branch widened, then added up from high to low resolution, averaged, classified.
struct ClassificationHead {
  ClassificationHead(const ParamScope& scope, const MdeqConfig& config);

  /// z: one [B,h,w,c] per branch -> logits [B, classes].
  Value operator()(const std::vector<Value>& z) const;

  std::vector<Bottleneck> widen;
  std::vector<layers::Conv2d> downsample;
  std::vector<layers::BatchNorm> downsample_norm;
  layers::Conv2d final_conv;
  layers::BatchNorm final_norm;
  layers::Linear classifier;
};

}  // namespace deq::mdeq
