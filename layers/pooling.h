#pragma once

#include "core/builder.h"

namespace deq::layers {

/// Mean over windows of [B,H,W,C]; attributes in core/op/image.h.
struct AvgPool {
  deq::AvgPool window;
  Value operator()(Value x) const { return avg_pool(x, window); }
};
/// Maximum over windows of [B,H,W,C].
struct MaxPool {
  deq::MaxPool window;
  Value operator()(Value x) const { return max_pool(x, window); }
};
/// Mean over all pixels: [B,H,W,C] -> [B,C].
struct GlobalAvgPool {
  Value operator()(Value x) const { return global_avg_pool(x); }
};
/// [B, ..] -> [B, product of the rest].
struct Flatten {
  Value operator()(Value x) const { return flatten(x); }
};

}  // namespace deq::layers
