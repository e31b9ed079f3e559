#include "autodiff/product_region.h"

#include <algorithm>

#include "autodiff/jvp.h"
#include "autodiff/vjp.h"
#include "core/builder.h"

namespace deq {
namespace {

/// The graph grows with each input, so its size never names two.
std::vector<Value> fresh_inputs(Graph& graph, std::span<const Value> like, std::string_view stem, Rate rate) {
  const std::string prefix = concat(stem, '.', graph.size(), ".v");
  std::vector<Value> v;
  for (std::size_t i = 0; i < like.size(); ++i) v.push_back(graph.input(concat(prefix, i), like[i].type(), rate));
  return v;
}

RegionId add_results(Graph& graph, const std::vector<Value>& v, std::vector<Value> results,
                     std::span<const Value> like) {
  for (std::size_t i = 0; i < results.size(); ++i) {
    if (results[i].is_empty()) results[i] = constant(graph, 0, like[i].shape(), like[i].type().dtype);
    const auto begin = results.begin(), end = begin + static_cast<std::ptrdiff_t>(i);
    const bool is_state = std::find(v.begin(), v.end(), results[i]) != v.end();
    if (is_state || std::find(begin, end, results[i]) != end) results[i] = copy(results[i]);
  }
  return graph.add_region(v, results);
}

}  // namespace

RegionId add_pullback_region(Graph& graph, std::span<const Value> y, std::span<const Value> z, Rate rate) {
  const std::vector<Value> v = fresh_inputs(graph, y, "adjoint", rate);
  return add_results(graph, v, vjp(y, v, z), z);
}

RegionId add_pushforward_region(Graph& graph, std::span<const Value> y, std::span<const Value> z, Rate rate) {
  const std::vector<Value> v = fresh_inputs(graph, z, "tangent", rate);
  return add_results(graph, v, jvp(y, z, v), y);
}

RegionId add_gradient_region(Graph& graph, Value loss, std::span<const Value> z) {
  return add_results(graph, {}, gradients(loss, z), z);
}

}  // namespace deq
