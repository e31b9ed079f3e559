#include "layers/mdeq/transformation.h"

#include "core/error.h"
#include "layers/mdeq/stem.h"

namespace deq::mdeq {
namespace {

ConvGroupNorm post_fuse_stage(const ParamScope& scope, const MdeqConfig& config, int width) {
  layers::ConvOptions options{.has_bias = false, .has_weight_norm = config.weight_norm};
  if (!config.weight_norm) options.start = kConvStart;
  return {layers::Conv2d(scope / "conv", width, width, /*kernel=*/1, options),
          layers::GroupNorm(scope / "gnorm", width, config.groups / 2, {.is_affine = config.post_norm_affine})};
}

}  // namespace

Transformation::Transformation(const ParamScope& scope, const MdeqConfig& config) {
  for (int branch = 0; branch < config.branches(); ++branch) {
    std::vector<ResidualBlock>& blocks = branches.emplace_back();
    for (int block = 0; block < config.blocks_of(branch); ++block)
      blocks.emplace_back(scope / "branches" / branch / "blocks" / block, config, branch);
  }
  if (config.branches() == 1) return;
  fusion.emplace_back(scope / "fuse_layers", config);
  for (int branch = 0; branch < config.branches(); ++branch)
    post_fuse.push_back(post_fuse_stage(scope / "post_fuse_layers" / branch, config,
                                        config.channels[static_cast<std::size_t>(branch)]));
}

std::vector<Value> Transformation::operator()(std::span<const Value> z, Value injection) const {
  check(z.size() == branches.size(), "mdeq", z.size(), " states for ", branches.size(), " branches");
  std::vector<Value> states;
  for (std::size_t i = 0; i < branches.size(); ++i) {
    Value h = z[i];
    for (std::size_t block = 0; block < branches[i].size(); ++block)
      h = branches[i][block](h, i == 0 && block == 0 ? injection : Value{});
    states.push_back(h);
  }
  if (fusion.empty()) return states;
  states = fusion[0](states);
  for (std::size_t i = 0; i < states.size(); ++i) states[i] = post_fuse[i](relu(states[i]));
  return states;
}

}  // namespace deq::mdeq
