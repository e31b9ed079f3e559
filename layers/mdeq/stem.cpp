#include "layers/mdeq/stem.h"

#include <algorithm>

namespace deq::mdeq {

ConvNorm::ConvNorm(const ParamScope& scope, int index, int in, int out, int kernel, int stride, double momentum)
    : conv(scope / index, in, out, kernel,
           {.stride = stride, .pad = kernel / 2, .has_bias = false, .start = kConvStart}),
      norm(scope / (index + 1), out, {.momentum = momentum}) {}

Stem::Stem(const ParamScope& scope, const MdeqConfig& config) {
  constexpr int kPlacesPerStage = 3;  // convolution, norm, relu
  const int width = config.channels[0];
  const int count = std::max(2, config.downsample_times);
  for (int i = 0; i < count; ++i)
    stages.emplace_back(scope / "downsample", kPlacesPerStage * i, i == 0 ? config.image_channels : width, width,
                        /*kernel=*/3, config.downsample_times > i ? 2 : 1, config.batch_momentum);
  if (config.has_stage0())
    stages.emplace_back(scope / "stage0", 0, width, width, /*kernel=*/1, /*stride=*/1, config.batch_momentum);
}

Value Stem::operator()(Value image) const {
  for (const ConvNorm& stage : stages) image = stage(image);
  return image;
}

}  // namespace deq::mdeq
