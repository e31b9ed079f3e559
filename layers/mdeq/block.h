#pragma once

#include "layers/conv.h"
#include "layers/dropout.h"
#include "layers/group_norm.h"
#include "layers/mdeq/config.h"

namespace deq::mdeq {

/// Residual block of one branch on h [B,H,W,C], inner width expansion * C:
///   a = relu(gn1(conv1(h)));  b = drop(conv2(a)) + injection;  out = gn3(relu(gn2(b) + h)).
struct ResidualBlock {
  ResidualBlock(const ParamScope& scope, const MdeqConfig& config, int branch);

  /// An empty injection counts as zero.
  Value operator()(Value h, Value injection) const;

  layers::Conv2d conv1, conv2;
  layers::GroupNorm gn1, gn2, gn3;
  layers::VariationalDropout drop;
};

}  // namespace deq::mdeq
