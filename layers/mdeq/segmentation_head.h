#pragma once

#include <vector>

#include "layers/batch_norm.h"
#include "layers/conv.h"
#include "layers/mdeq/config.h"

namespace deq::mdeq {

/// States to class scores per pixel of branch 0: every branch enlarged to it (bilinear, aligned corners), concatenated,
/// mixed by a 1x1 convolution, scored.
struct SegmentationHead {
  SegmentationHead(const ParamScope& scope, const MdeqConfig& config);

  /// z: one [B,h,w,c] per branch -> logits [B,h0,w0,classes].
  Value operator()(const std::vector<Value>& z) const;

  layers::Conv2d mix;
  layers::BatchNorm norm;
  layers::Conv2d score;
};

}  // namespace deq::mdeq
