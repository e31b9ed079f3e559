#include "layers/mdeq/fusion.h"

#include "layers/mdeq/stem.h"

namespace deq::mdeq {
namespace {

ConvGroupNorm stage(const ParamScope& scope, const MdeqConfig& config, int in, int out, int kernel, int stride) {
  return {layers::Conv2d(scope / "conv", in, out, kernel,
                         {.stride = stride, .pad = kernel / 2, .has_bias = false, .start = kConvStart}),
          layers::GroupNorm(scope / "gnorm", out, config.groups, {.is_affine = config.fuse_norm_affine})};
}

}  // namespace

FusePath::FusePath(const ParamScope& scope, const MdeqConfig& config, int to, int source)
    : from(source), is_up(to < source) {
  const int in = config.channels[static_cast<std::size_t>(from)];
  const int out = config.channels[static_cast<std::size_t>(to)];
  const ParamScope net = scope / "net";
  if (is_up) {
    stages.push_back(stage(net, config, in, out, /*kernel=*/1, /*stride=*/1));
    return;
  }
  const int levels = to - from;
  for (int level = 0; level < levels; ++level)
    stages.push_back(stage(net / level, config, in, level + 1 == levels ? out : in, /*kernel=*/3, /*stride=*/2));
}

Value FusePath::operator()(Value x, std::int64_t height, std::int64_t width) const {
  for (std::size_t i = 0; i < stages.size(); ++i) x = i == 0 ? stages[i](x) : stages[i](relu(x));
  if (!is_up) return x;
  return resize(x, {.mode = ResizeMode::nearest, .height = height, .width = width});
}

Fusion::Fusion(const ParamScope& scope, const MdeqConfig& config) {
  for (int to = 0; to < config.branches(); ++to) {
    std::vector<FusePath>& sources = paths.emplace_back();
    for (int from = 0; from < config.branches(); ++from)
      if (from != to) sources.emplace_back(scope / to / from, config, to, from);
  }
}

std::vector<Value> Fusion::operator()(const std::vector<Value>& branches) const {
  std::vector<Value> fused;
  for (std::size_t to = 0; to < paths.size(); ++to) {
    const Value own = branches[to];
    Value total;
    const auto add = [&](Value term) { total = total.is_empty() ? term : total + term; };
    for (const FusePath& path : paths[to]) {
      if (path.from == static_cast<int>(to) + 1) add(own);
      add(path(branches[static_cast<std::size_t>(path.from)], own.shape()[1], own.shape()[2]));
    }
    if (to + 1 == paths.size()) add(own);
    fused.push_back(total);
  }
  return fused;
}

}  // namespace deq::mdeq
