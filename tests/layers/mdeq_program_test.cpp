#include <doctest/doctest.h>

#include <map>
#include <sstream>

#include "autodiff/vjp.h"
#include "core/cpu/backend.h"
#include "core/program.h"
#include "layers/mdeq/mdeq.h"
#include "solvers/policy.h"

using namespace deq;

namespace {

/// One line of a program's description.
struct Line {
  std::string op, rate, label;
  int solve = -1;  ///< loop the launch belongs to; -1: none
};

std::vector<Line> lines_of(const Program& program) {
  std::vector<Line> out;
  std::istringstream text(program.describe());
  std::string row;
  std::getline(text, row);  // the arena
  while (std::getline(text, row)) {
    Line line;
    std::istringstream words(row);
    std::string word, last;
    words >> word >> line.op;
    const bool is_loop = line.op == "loop";
    if (is_loop) words >> line.op >> word >> line.solve;
    while (words >> word) {
      if (word[0] == '@') line.rate = word.substr(1);
      last = word;
    }
    line.label = last;
    out.push_back(line);
  }
  return out;
}

/// Forward solve, loss and refined backward of a two-branch model with weight norm and dropout.
struct TrainingProgram {
  TrainingProgram() : model(ParamScope(store), config()) {
    const Value image = graph.input("image", {DType::f32, {2, 16, 16, 3}}, Rate::batch);
    MdeqForward forward;
    forward.equilibrium.policy = std::make_shared<const ImplicitPolicy>(SolverOptions{}, Refined{.steps = 2});
    const Value loss = mean(square(model(image, forward).logits));
    std::vector<Value> parameters;
    for (const ParameterEntry& entry : store.entries())
      if (entry.is_trainable) parameters.push_back(graph.parameter(entry.name, entry.value));
    outputs = gradients_or_zeros(loss, parameters);
    outputs.push_back(loss);
    program = std::make_unique<Program>(Program::compile(graph, outputs, cpu));
  }
  static MdeqConfig config() {
    MdeqConfig out;
    out.channels = {8, 8};
    out.head_channels = {2, 4};
    out.final_channels = 8;
    out.expansion = 2;
    out.groups = 4;
    out.dropout = 0.25;
    return out;
  }
  CpuBackend cpu;
  ParameterStore store{7};
  Mdeq model;
  Graph graph{Mode::training};
  std::vector<Value> outputs;
  std::unique_ptr<Program> program;
};

}  // namespace

TEST_CASE("the loops of a multiscale model hold nothing but functions of their state") {
  const TrainingProgram training;
  std::map<std::string, int> forward, backward, outside;
  for (const Line& line : lines_of(*training.program)) {
    CAPTURE(line.op);
    CAPTURE(line.label);
    if (line.solve < 0) {
      ++outside[line.op];
      continue;
    }
    CHECK(line.rate == (line.solve == 0 ? "iterate" : "cotangent"));
    CHECK(line.label.rfind("equilibrium", 0) == 0);  // neither stem nor head
    ++(line.solve == 0 ? forward : backward)[line.op];
  }
  for (const auto* loop : {&forward, &backward})
    for (const char* op : {"pack_weights", "random", "sum", "sqrt", "reciprocal"}) CHECK_FALSE(loop->contains(op));
  // Per branch two block convolutions, three norms, of which one takes in the mask, and the post-fusion stage; two
  // paths of fusion.
  CHECK(forward["conv2d"] == 8);
  CHECK(forward["group_norm"] == 10);
  CHECK_FALSE(forward.contains("mul"));
  CHECK(backward["conv2d_input_grad"] == 8);
  CHECK(backward["mul"] == 2);
  CHECK_FALSE(backward.contains("conv2d_weight_grad"));
  CHECK(outside["random"] == 2);  // one mask a branch, drawn once for both solves
  std::size_t launches = 0;
  for (const auto& [op, count] : forward) launches += static_cast<std::size_t>(count);
  CHECK(training.program->map_launches() == launches);
}
