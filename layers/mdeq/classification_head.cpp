#include "layers/mdeq/classification_head.h"

#include "layers/mdeq/stem.h"

namespace deq::mdeq {
namespace {

constexpr int kExpansion = 4;  // output of a bottleneck over its inner width

layers::Conv2d plain_conv(const ParamScope& scope, int in, int out, int kernel) {
  return layers::Conv2d(scope, in, out, kernel, {.pad = kernel / 2, .has_bias = false, .start = kConvStart});
}

}  // namespace

Bottleneck::Bottleneck(const ParamScope& scope, int in, int width, double momentum)
    : conv1(plain_conv(scope / "conv1", in, width, 1)),
      conv2(plain_conv(scope / "conv2", width, width, 3)),
      conv3(plain_conv(scope / "conv3", width, kExpansion * width, 1)),
      bn1(scope / "bn1", width, {.momentum = momentum, .is_affine = false}),
      bn2(scope / "bn2", width, {.momentum = momentum, .is_affine = false}),
      bn3(scope / "bn3", kExpansion * width, {.momentum = momentum, .is_affine = false}) {
  if (in == kExpansion * width) return;
  shortcut = plain_conv(scope / "downsample" / 0, in, kExpansion * width, 1);
  shortcut_norm.emplace(scope / "downsample" / 1, kExpansion * width, layers::BatchNormOptions{.momentum = momentum});
}

Value Bottleneck::operator()(Value x) const {
  const Value y = bn3(conv3(relu(bn2(conv2(relu(bn1(conv1(x))))))));
  return relu(y + (shortcut ? (*shortcut_norm)((*shortcut)(x)) : x));
}

ClassificationHead::ClassificationHead(const ParamScope& scope, const MdeqConfig& config)
    : final_conv(scope / "final_layer" / 0, kExpansion * config.head_channels.back(), config.final_channels, 1,
                 {.start = kConvStart}),
      final_norm(scope / "final_layer" / 1, config.final_channels, {.momentum = config.batch_momentum}),
      classifier(scope / "classifier", config.final_channels, config.classes) {
  const layers::BatchNormOptions norm{.momentum = config.batch_momentum};
  const auto width = [&](int branch) { return config.head_channels[static_cast<std::size_t>(branch)]; };
  for (int i = 0; i < config.branches(); ++i)
    widen.emplace_back(scope / "incre_modules" / i / 0, config.channels[static_cast<std::size_t>(i)], width(i),
                       config.batch_momentum);
  for (int i = 0; i + 1 < config.branches(); ++i) {
    const ParamScope step = scope / "downsamp_modules" / i;
    downsample.emplace_back(step / 0, kExpansion * width(i), kExpansion * width(i + 1), 3,
                            layers::ConvOptions{.stride = 2, .pad = 1, .start = kConvStart});
    downsample_norm.emplace_back(step / 1, kExpansion * width(i + 1), norm);
  }
}

Value ClassificationHead::operator()(const std::vector<Value>& z) const {
  Value y = widen[0](z[0]);
  for (std::size_t i = 0; i < downsample.size(); ++i)
    y = widen[i + 1](z[i + 1]) + relu(downsample_norm[i](downsample[i](y)));
  return classifier(global_avg_pool(relu(final_norm(final_conv(y)))));
}

}  // namespace deq::mdeq
