#include <doctest/doctest.h>

#include "core/builder.h"
#include "core/cpu/backend.h"
#include "core/program.h"
#include "core/reference/backend.h"
#include "tests/op_cases/emulated_cuda.h"

using namespace deq;

namespace {

/// Parameters of two elements, one after the other filled with 1, 2, 3, ..
struct Parameters {
  Graph graph{Mode::training};
  std::vector<std::shared_ptr<Tensor>> tensors;

  Value add() {
    const auto first = static_cast<float>(tensors.size() + 1);
    tensors.push_back(std::make_shared<Tensor>(Tensor::of<float>({2}, std::vector<float>{first, first})));
    return graph.parameter("p" + std::to_string(tensors.size()), tensors.back());
  }
  /// SGD with momentum on `p`, assigned; returns the new p.
  Value descend(Value p, Value gradient) {
    const Value momentum = add();
    const std::vector<Value> operands{p, gradient, momentum, constant(graph, 0.5, {})};
    const std::vector<Value> updated = graph.add(SgdUpdate{.momentum = 0.0}, operands);
    graph.assign(p, updated[0]);
    graph.assign(momentum, updated[1]);
    return updated[0];
  }
  /// Runs once on `backend`; the first elements of all parameters and, after them, of `outputs`.
  std::vector<float> run(Backend& backend, const std::vector<Value>& outputs = {}) {
    const std::vector<Value> wanted = outputs.empty() ? std::vector{constant(graph, 0.0, {2})} : outputs;
    Program program = Program::compile(graph, wanted, backend);
    program.run();
    program.fetch_parameters();
    std::vector<float> out;
    for (const auto& tensor : tensors) out.push_back(tensor->data<float>()[0]);
    for (const Value& value : outputs) out.push_back(program.read(value).data<float>()[0]);
    return out;
  }
};

using Floats = std::vector<float>;

/// What `make` computes on the CPU, the reference and a device: all keep parameters in memory of their own kind.
template <class Make>
void expect(const Make& make, const Floats& wanted) {
  CpuBackend cpu;
  ReferenceBackend reference;
  tests::EmulatedCuda device;
  for (Backend* backend : std::initializer_list<Backend*>{&cpu, &reference, &device}) {
    Parameters all;
    CHECK(all.run(*backend, make(all)) == wanted);
  }
}

}  // namespace

TEST_CASE("assignments read what was there before any of them") {
  expect(
      [](Parameters& all) -> std::vector<Value> {
        const Value a = all.add(), b = all.add(), c = all.add();
        all.graph.assign(a, b);
        all.graph.assign(b, a);
        all.graph.assign(c, reshape(a, {2}));
        return {};
      },
      Floats{2, 1, 1});
}

TEST_CASE("a copy of a parameter is the one before the optimiser's step") {
  expect(
      [](Parameters& all) -> std::vector<Value> {
        const Value w = all.add(), before = all.add();
        all.descend(w, constant(all.graph, 4.0, {2}));  // 1 - 0.5 * 4
        all.graph.assign(before, w);
        return {};
      },
      Floats{-1, 1, 4});
}

TEST_CASE("what is computed from an optimiser's step comes after it, and still sees the old parameters") {
  expect(
      [](Parameters& all) -> std::vector<Value> {
        const Value w = all.add(), average = all.add();
        const Value updated = all.descend(w, constant(all.graph, 4.0, {2}));
        all.graph.assign(average, average * 0.5 + updated * 0.5);
        return {updated - w};
      },
      Floats{-1, 0.5, 4, -2});
}

TEST_CASE("a gradient that is another parameter is the one before that parameter's step") {
  expect(
      [](Parameters& all) -> std::vector<Value> {
        const Value a = all.add(), b = all.add();  // loss sum(a b)
        all.descend(a, b);
        all.descend(b, a);
        return {};
      },
      Floats{0, 1.5, 2, 1});
}
