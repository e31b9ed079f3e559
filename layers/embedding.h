#pragma once

#include "core/builder.h"
#include "layers/parameter.h"

namespace deq::layers {

/// Rows of a table by index: i32[..] -> [.., width]. Parameter `weight` [count, width], N(0, deviation^2) at the start.
struct Embedding {
  /// Errors: `count` or `width` below 1.
  Embedding(const ParamScope& scope, int count, int width, double deviation = 1.0) : label(scope.prefix()) {
    check(count >= 1 && width >= 1, "embedding", count, " rows of ", width, ": each must be at least 1 (layer '", label,
          "')");
    weight = Parameter(scope, "weight", {count, width}, init::normal(deviation));
  }

  Value operator()(Value index) const {
    const Scope named(index.owner("embedding", label), label);
    return gather(weight(index), index);
  }

  Parameter weight;
  std::string label;
};

}  // namespace deq::layers
