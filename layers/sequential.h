#pragma once

#include <concepts>
#include <functional>
#include <utility>
#include <vector>

#include "core/graph.h"

namespace deq::layers {

/// Layers applied one after another. Anything callable as Value(Value) is a layer; names are the business of the
/// scopes the layers were built with:
///   Sequential head(Linear(scope / 0, 64, 32), Relu(), Linear(scope / 2, 32, 10));
struct Sequential {
  Sequential() = default;
  template <class First, class... Rest>
  requires(!std::same_as<std::remove_cvref_t<First>, Sequential> ||
           sizeof...(Rest) > 0) explicit Sequential(First&& first, Rest&&... rest) {
    append(std::forward<First>(first));
    (append(std::forward<Rest>(rest)), ...);
  }

  template <class Layer>
  requires std::invocable<const Layer&, Value>
  void append(Layer layer) { layers.emplace_back(std::move(layer)); }

  Value operator()(Value x) const {
    for (const auto& layer : layers) x = layer(x);
    return x;
  }

  std::vector<std::function<Value(Value)>> layers;
};

}  // namespace deq::layers
