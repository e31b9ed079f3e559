#include "layers/mdeq/segmentation_head.h"

#include <numeric>

#include "layers/mdeq/stem.h"

namespace deq::mdeq {
namespace {

int total_channels(const MdeqConfig& config) {
  return std::accumulate(config.channels.begin(), config.channels.end(), 0);
}

}  // namespace

SegmentationHead::SegmentationHead(const ParamScope& scope, const MdeqConfig& config)
    : mix(scope / "last_layer" / 0, total_channels(config), total_channels(config), 1, {.start = kConvStart}),
      norm(scope / "last_layer" / 1, total_channels(config), {.momentum = config.batch_momentum}),
      score(scope / "last_layer" / 3, total_channels(config), config.classes, config.final_kernel,
            {.pad = config.final_kernel / 2, .start = kConvStart}) {}

Value SegmentationHead::operator()(const std::vector<Value>& z) const {
  const Resize full{
      .mode = ResizeMode::bilinear, .height = z[0].shape()[1], .width = z[0].shape()[2], .align_corners = true};
  std::vector<Value> parts{z[0]};
  for (std::size_t i = 1; i < z.size(); ++i) parts.push_back(resize(z[i], full));
  const Value pixels = parts.size() == 1 ? parts[0] : concat(parts, 3);
  return score(relu(norm(mix(pixels))));
}

}  // namespace deq::mdeq
