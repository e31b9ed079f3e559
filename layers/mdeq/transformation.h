#pragma once

#include <span>
#include <vector>

#include "layers/mdeq/block.h"
#include "layers/mdeq/fusion.h"

namespace deq::mdeq {

/// The function f(z, x) whose fixed point the model is: residual blocks per branch (the injection enters the first
/// block of branch 0), multiscale fusion, and z'_i = gn(conv1x1(relu(y_i))). A single branch has blocks only.
struct Transformation {
  Transformation(const ParamScope& scope, const MdeqConfig& config);

  /// z: one [B,h,w,c] per branch; injection like z[0]. Returns states like z.
  [[nodiscard]] std::vector<Value> operator()(std::span<const Value> z, Value injection) const;

  std::vector<std::vector<ResidualBlock>> branches;
  std::vector<Fusion> fusion;  ///< one, or none with a single branch
  std::vector<ConvGroupNorm> post_fuse;
};

}  // namespace deq::mdeq
