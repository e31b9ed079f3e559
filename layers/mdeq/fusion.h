#pragma once

#include <vector>

#include "layers/conv.h"
#include "layers/group_norm.h"
#include "layers/mdeq/config.h"

namespace deq::mdeq {

/// Convolution without bias, then group norm; parameters under `conv` and `gnorm`.
struct ConvGroupNorm {
  Value operator()(Value x) const { return gnorm(conv(x)); }

  layers::Conv2d conv;
  layers::GroupNorm gnorm;
};

/// Path from branch `from` to another branch `to`.
/// Down (to > from): one strided 3x3 stage per level, relu between stages; the last one changes the channels.
/// Up (to < from): a 1x1 stage at the low resolution, then nearest-neighbour enlargement.
struct FusePath {
  FusePath(const ParamScope& scope, const MdeqConfig& config, int to, int from);

  /// x [B,h,w,C_from] -> [B,height,width,C_to].
  [[nodiscard]] Value operator()(Value x, std::int64_t height, std::int64_t width) const;

  int from;
  bool is_up;
  std::vector<ConvGroupNorm> stages;
};

/// Multiscale fusion: y_i = sum over j of path_ij(x_j) in order of j, path_ii the identity.
struct Fusion {
  Fusion(const ParamScope& scope, const MdeqConfig& config);

  [[nodiscard]] std::vector<Value> operator()(const std::vector<Value>& branches) const;

  std::vector<std::vector<FusePath>> paths;  ///< [to], sources in order, `to` itself left out
};

}  // namespace deq::mdeq
