#include "layers/mdeq/block.h"

namespace deq::mdeq {
namespace {

/// A block convolution that keeps the image size: 5x5 for the branch's first `big_kernels`, else 3x3. Weight-normed
/// convolutions start as the framework default, because the published initialisation never reaches their parameters.
layers::Conv2d same_conv(const ParamScope& scope, const MdeqConfig& config, int branch, int in, int out, int position) {
  const int kernel = config.big_kernels_of(branch) >= position ? 5 : 3;
  layers::ConvOptions options{.pad = kernel / 2, .has_bias = false, .has_weight_norm = config.weight_norm};
  if (!config.weight_norm) options.start = init::normal(0.01);
  return layers::Conv2d(scope, in, out, kernel, options);
}

int width_of(const MdeqConfig& config, int branch) { return config.channels[static_cast<std::size_t>(branch)]; }

int inner_width_of(const MdeqConfig& config, int branch) { return config.expansion * width_of(config, branch); }

}  // namespace

ResidualBlock::ResidualBlock(const ParamScope& scope, const MdeqConfig& config, int branch)
    : conv1(same_conv(scope / "conv1", config, branch, width_of(config, branch), inner_width_of(config, branch), 1)),
      conv2(same_conv(scope / "conv2", config, branch, inner_width_of(config, branch), width_of(config, branch), 2)),
      gn1(scope / "gn1", inner_width_of(config, branch), config.groups, {.is_affine = config.block_norm_affine}),
      gn2(scope / "gn2", width_of(config, branch), config.groups, {.is_affine = config.block_norm_affine}),
      gn3(scope / "gn3", width_of(config, branch), config.groups, {.is_affine = config.block_norm_affine}),
      drop(scope / "drop", config.dropout) {}

Value ResidualBlock::operator()(Value h, Value injection) const {
  const Value inner = relu(gn1(conv1(h)));
  Value update = drop(conv2(inner));
  if (!injection.is_empty()) update = update + injection;
  return gn3(relu(gn2(update) + h));
}

}  // namespace deq::mdeq
