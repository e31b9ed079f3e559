#include "autodiff/jvp.h"

#include "core/error.h"

namespace deq {

std::vector<Value> jvp(std::span<const Value> outputs, std::span<const Value> wrt, std::span<const Value> tangents,
                       DerivativeOptions options) {
  check(wrt.size() == tangents.size(), "jvp", wrt.size(), " variables but ", tangents.size(), " tangents");
  if (outputs.empty()) return {};
  Graph& graph = outputs.front().owner("jvp");
  // u is what J^T u is differentiated by; its value never matters and no result reads it.
  const std::string prefix = concat("jvp.", graph.size(), ".u");
  std::vector<Value> u;
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    check(&outputs[i].owner("jvp") == &graph, "jvp", "output ", i, " belongs to another graph");
    u.push_back(graph.input(concat(prefix, i), outputs[i].type(), graph.rate(outputs[i].ref)));
  }
  const std::vector<Value> pulled = vjp(outputs, u, wrt, {.differentiable = true});
  std::vector<Value> rows, along;
  for (std::size_t j = 0; j < pulled.size(); ++j) {
    if (tangents[j].is_empty()) continue;
    check(tangents[j].type() == wrt[j].type(), "jvp", "variable ", j, " is ", wrt[j].type(), " but its tangent is ",
          tangents[j].type());
    if (pulled[j].is_empty()) continue;
    rows.push_back(pulled[j]);
    along.push_back(tangents[j]);
  }
  return vjp(rows, along, u, options);
}

std::vector<Value> jvp(std::initializer_list<Value> outputs, std::initializer_list<Value> wrt,
                       std::initializer_list<Value> tangents, DerivativeOptions options) {
  return jvp(std::span(outputs.begin(), outputs.size()), std::span(wrt.begin(), wrt.size()),
             std::span(tangents.begin(), tangents.size()), options);
}

}  // namespace deq
