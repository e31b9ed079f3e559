#include <doctest/doctest.h>

#include <algorithm>

#include "autodiff/jvp.h"
#include "autodiff/vjp.h"
#include "core/builder.h"
#include "core/program.h"
#include "core/reference/backend.h"
#include "coupled_blocks.h"

using namespace deq;
using namespace deq::tests;

// Derivatives of implicit gradients, compiled and solved to rounding, against those through a long unrolled iteration.

namespace {

using Passes = CoupledBlocks::Passes;

/// Directions in the variables.
Blocks directions(CoupledBlocks& model) {
  return {model.bound("ta", {3, 3}, 5), model.bound("tb", {3, 5}, 6), model.bound("tx", {2, 3}, 7)};
}

/// sum of g . t, whose gradient is the product of the Hessian with t.
Value along(const Blocks& g, const Blocks& t) {
  Value total = sum(g[0] * t[0]);
  for (std::size_t i = 1; i < g.size(); ++i) total = total + sum(g[i] * t[i]);
  return total;
}

/// Products of the second and of the third derivative of the loss with directions.
Blocks higher_derivatives(CoupledBlocks& model, const Blocks& z) {
  const Blocks t = directions(model), variables = model.variables();
  const Blocks first = gradients(CoupledBlocks::loss(z), variables, {.differentiable = true});
  const Blocks second = gradients(along(first, t), variables, {.differentiable = true});
  Blocks out = gradients(along(second, t), variables);
  out.insert(out.end(), second.begin(), second.end());
  return out;
}

std::vector<NodeId> solves_of(const Graph& graph, ImplicitSystem system) {
  std::vector<NodeId> out;
  for (NodeId id = 0; id < graph.size(); ++id) {
    const auto* solve = std::get_if<LinearSolve>(&graph.node(id).op);
    if (solve != nullptr && solve->system == system) out.push_back(id);
  }
  return out;
}

int launches_of(CoupledBlocks& model, const Blocks& outputs, std::string_view op) {
  ReferenceBackend backend;
  Program program = Program::compile(model.graph, outputs, backend);
  for (const auto& [name, value] : model.bindings)
    if (program.has_input(name)) program.bind(name, value);
  int count = 0;
  for (const Program::LaunchTime& launch : program.profile()) count += launch.op == op ? 1 : 0;
  return count;
}

}  // namespace

TEST_CASE("second and third derivatives equal those through the converged iteration") {
  CoupledBlocks unrolled;
  const std::vector<Tensor> expected = unrolled.interpreted(higher_derivatives(unrolled, unrolled.unrolled()));
  for (const Passes passes : {Passes::applied, Passes::iterate}) {
    CoupledBlocks implicit;
    check_agreement(implicit.compiled(higher_derivatives(implicit, implicit.solved(passes))), expected, 4e-7);
  }
}

TEST_CASE("jvp passes an equilibrium") {
  CoupledBlocks unrolled, implicit;
  const auto products = [](CoupledBlocks& model, const Blocks& z) {
    const Blocks t = directions(model), variables = model.variables();
    Blocks out = jvp(z, variables, t);
    const Blocks in_x = jvp(z, Blocks{model.x}, Blocks{t[2]});
    out.insert(out.end(), in_x.begin(), in_x.end());
    return out;
  };
  check_agreement(implicit.compiled(products(implicit, implicit.solved(Passes::applied))),
                  unrolled.interpreted(products(unrolled, unrolled.unrolled())), 2e-7);
  CHECK_FALSE(solves_of(implicit.graph, ImplicitSystem::tangent).empty());
}

TEST_CASE("a jvp can be differentiated, and a gradient pushed forward") {
  CoupledBlocks unrolled, implicit;
  const auto products = [](CoupledBlocks& model, const Blocks& z) {
    const Blocks t = directions(model), variables = model.variables();
    const Blocks tangent = jvp(Blocks{CoupledBlocks::loss(z)}, variables, t, {.differentiable = true});
    Blocks out = gradients(tangent[0], variables);
    const Blocks first = gradients(CoupledBlocks::loss(z), variables, {.differentiable = true});
    const Blocks forward = jvp(first, variables, t);
    out.insert(out.end(), forward.begin(), forward.end());
    return out;
  };
  const std::vector<Tensor> found = implicit.compiled(products(implicit, implicit.solved(Passes::applied)));
  check_agreement(found, unrolled.interpreted(products(unrolled, unrolled.unrolled())), 4e-7);
  for (std::size_t i = 0; i < 3; ++i)  // the Hessian is symmetric
    for (std::size_t j = 0; j < found[i].data<float>().size(); ++j)
      CHECK(found[i].data<float>()[j] == doctest::Approx(found[i + 3].data<float>()[j]).epsilon(1e-5));
}

TEST_CASE("second derivatives pass several equilibria, one of which drives the next") {
  CoupledBlocks unrolled, implicit;
  const auto second = [](CoupledBlocks& model, const Blocks& z, const auto& solve) {
    const Value x = model.x;
    model.x = x + z[0] * 0.5;  // what the next one captures
    const Blocks next = solve();
    model.x = x;
    const Value loss = CoupledBlocks::loss(next) + sum(z[0] * next[0]);
    const Blocks first = gradients(loss, model.variables(), {.differentiable = true});
    return gradients(sum(square(first[0])) + sum(square(first[2])), model.variables());
  };
  const Blocks right = second(unrolled, unrolled.unrolled(), [&] { return unrolled.unrolled(); });
  const Blocks found =
      second(implicit, implicit.solved(Passes::applied), [&] { return implicit.solved(Passes::iterate); });
  check_agreement(implicit.compiled(found), unrolled.interpreted(right), 4e-7);
}

TEST_CASE("a variable that f captures is taken as independent in both derivatives") {
  CoupledBlocks unrolled, implicit;
  const auto second = [](CoupledBlocks& model, const auto& solve) {
    const Value x = model.x, h = deq::tanh(x);
    model.x = h;
    const Value loss = CoupledBlocks::loss(solve());
    model.x = x;
    const Blocks first = gradients(loss, {h}, {.differentiable = true});
    Blocks out = gradients(sum(square(first[0])), {h, model.b});
    const Blocks whole = gradients(sum(square(first[0])), {x});
    out.push_back(whole[0]);
    return out;
  };
  check_agreement(implicit.compiled(second(implicit, [&] { return implicit.solved(Passes::applied); })),
                  unrolled.interpreted(second(unrolled, [&] { return unrolled.unrolled(); })), 4e-7);
}

TEST_CASE("z* among the variables gets the same either way") {
  CoupledBlocks model;
  const Blocks out = model.solved(Passes::applied);
  const NodeId gradient = out[0].ref.node;
  const Blocks z{model.graph.value(model.graph.node(gradient).inputs[2]),
                 model.graph.value(model.graph.node(gradient).inputs[3])};
  for (const Blocks& variables : {Blocks{model.a, z[0], z[1]}, Blocks{model.a, z[1]}}) {
    Blocks outputs = gradients(CoupledBlocks::loss(out), variables);
    const Blocks again = gradients(CoupledBlocks::loss(out), variables, {.differentiable = true});
    outputs.insert(outputs.end(), again.begin(), again.end());
    const std::vector<Tensor> found = model.compiled(outputs);
    for (std::size_t i = 0; i < variables.size(); ++i)
      CHECK(std::ranges::equal(found[i].data<float>(), found[i + variables.size()].data<float>()));
  }
}

TEST_CASE("gradients that can be differentiated cost what others do until they are") {
  CoupledBlocks plain, again;
  const Blocks first = gradients(CoupledBlocks::loss(plain.solved(Passes::applied)), plain.variables());
  const Blocks same =
      gradients(CoupledBlocks::loss(again.solved(Passes::applied)), again.variables(), {.differentiable = true});
  ReferenceBackend backend;
  Program a = Program::compile(plain.graph, first, backend), b = Program::compile(again.graph, same, backend);
  CHECK(a.launches() == b.launches());
  CHECK(a.peak_bytes() == b.peak_bytes());
  const std::vector<Tensor> expected = plain.compiled(first), found = again.compiled(same);
  for (std::size_t i = 0; i < found.size(); ++i)
    CHECK(std::ranges::equal(found[i].data<float>(), expected[i].data<float>()));
}

TEST_CASE("solves that both derivatives need are made once") {
  CoupledBlocks model;
  const Blocks variables = model.variables(), t = directions(model);
  const Value loss = CoupledBlocks::loss(model.solved(Passes::applied));
  Blocks outputs = gradients(loss, variables);
  const Blocks first = gradients(loss, variables, {.differentiable = true});
  const Blocks second = gradients(along(first, t), variables);
  outputs.insert(outputs.end(), second.begin(), second.end());
  // u of the loss, the tangent of z*, and the adjoint of what depends on z*.
  CHECK(launches_of(model, outputs, "adjoint_solve") == 2);
  CHECK(launches_of(model, outputs, "tangent_solve") == 1);
  CHECK(launches_of(model, outputs, "equilibrium") == 1);
}

TEST_CASE("a gradient that was not made to be differentiated says how to make it so") {
  CoupledBlocks model;
  const Value loss = CoupledBlocks::loss(model.solved(Passes::applied));
  const Value slope = gradients(loss, {model.x})[0];
  CHECK_THROWS_WITH_AS(gradients(sum(square(slope)), {model.x}),
                       doctest::Contains("give the vjp or gradients that made it {.differentiable = true}"), Error);
}
