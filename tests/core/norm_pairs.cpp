#include "tests/core/norm_pairs.h"

#include <doctest/doctest.h>

#include "core/builder.h"
#include "core/interpreter.h"
#include "core/program.h"
#include "core/reference/backend.h"
#include "tests/core/wide_kernel_cases.h"

namespace deq::tests {

void check_norm_pairs(Backend& device, bool has_clusters, double tolerance) {
  for (const auto& [shape, groups, more] : {std::tuple{Shape{2, 32, 32, 24}, 8, 4},
                                            {Shape{1, 32, 32, 160}, 8, 4},
                                            {Shape{1, 32, 32, 112}, 8, 4},
                                            {Shape{2, 16, 16, 8}, 4, 2},
                                            {Shape{3, 4, 5, 8}, 2, 2},
                                            {Shape{2, 16, 16, 320}, 8, 8}}) {
    CAPTURE(shape);
    Graph graph;
    const auto input = [&graph](const char* name, const Shape& of) {
      return graph.input(name, {DType::f32, of}, Rate::batch);
    };
    const Shape channels{shape[-1]};
    const Value x = input("x", shape), residual = input("residual", shape),
                mask = input("mask", {shape[0], 1, 1, shape[-1]});
    const Value gamma = input("gamma", channels), beta = input("beta", channels), delta = input("delta", channels);
    const Value first = relu(group_norm(x * mask + residual, groups, 1e-5, gamma, beta).y + x);
    const std::vector<Value> outputs{relu(group_norm(first, more, 1e-5, delta, beta).y),
                                     group_norm(tanh(group_norm(x, groups, 1e-5).y), more, 1e-5).y};
    Program program = Program::compile(graph, outputs, device);
    Bindings values;
    for (const NodeId id : graph.inputs())
      values.emplace(graph.input_name(id), draw(graph.type(Ref{id, 0}).shape, -1, 2));
    for (const auto& [name, value] : values) program.bind(name, value);
    for (int run = 0; run < 3; ++run) program.run();
    ReferenceBackend reference;
    const std::vector<Tensor> wanted = interpret(graph, outputs, values, reference);
    for (std::size_t i = 0; i < outputs.size(); ++i)
      CHECK(relative_difference(program.read(outputs[i]), wanted[i]) <= tolerance);
    const std::string description = program.describe();
    const GroupNormPair pair{.first = {.groups = groups}, .second = {.groups = more}};
    const bool is_joined = device.has_group_norm_pair(pair, x.type());
    CHECK((is_joined || !has_clusters));  // some are too large for the shared memory of one block
    CHECK((description.find("group_norm_pair") != std::string::npos) == is_joined);
    CHECK(description.find(" relu ") == std::string::npos);
  }
}

}  // namespace deq::tests
