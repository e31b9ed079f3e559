#include "tests/op_cases/op_cases.h"

#include <doctest/doctest.h>

#include <cmath>
#include <set>

#include "core/interpreter.h"
#include "core/reference/backend.h"

using namespace deq;

namespace {

/// Ops that no case can hold: inputs are everywhere, packed weights and pairs belong to one backend, equilibria to
/// programs.
template <class T>
constexpr bool kIsOutsideGrid =
    std::is_same_v<T, Input> || std::is_same_v<T, PackWeights> || std::is_same_v<T, ConvBlock> ||
    std::is_same_v<T, GroupNormPair> || std::is_same_v<T, Equilibrium> || std::is_same_v<T, ImplicitGradient> ||
    std::is_same_v<T, LinearSolve> || std::is_same_v<T, StandIn>;

template <std::size_t... kIndex>
std::set<std::size_t> expected_ops(std::index_sequence<kIndex...>) {
  std::set<std::size_t> expected;
  (void)std::initializer_list<int>{
      (kIsOutsideGrid<std::variant_alternative_t<kIndex, Op>> ? 0 : (expected.insert(kIndex), 0))...};
  return expected;
}

}  // namespace

TEST_CASE("the grid has a case for every op") {
  std::set<std::size_t> seen;
  for (const op_cases::OpCase& op_case : op_cases::all()) {
    const op_cases::BuiltCase built = op_cases::build(op_case);
    for (const Value& output : built.outputs) seen.insert(built.graph->node(output.ref).op.index());
  }
  for (const std::size_t op : expected_ops(std::make_index_sequence<std::variant_size_v<Op>>{})) {
    CHECK_MESSAGE(seen.count(op) == 1, "no case for alternative ", op, " of Op");
  }
}

TEST_CASE("the names of the grid are unique") {
  std::set<std::string> names;
  for (const op_cases::OpCase& op_case : op_cases::all()) {
    CHECK_MESSAGE(names.insert(op_case.name).second, op_case.name);
  }
}

TEST_CASE("every case of the grid runs on the reference and is finite") {
  ReferenceBackend backend;
  for (const op_cases::OpCase& op_case : op_cases::all()) {
    CAPTURE(op_case.name);
    const op_cases::BuiltCase built = op_cases::build(op_case);
    const std::vector<Tensor> results =
        interpret(*built.graph, built.outputs, op_cases::bindings_of(op_case), backend, {.stop_at_nonfinite = true});
    REQUIRE(results.size() == built.outputs.size());
    for (std::size_t i = 0; i < results.size(); ++i) {
      CHECK(results[i].shape() == built.outputs[i].shape());
      CHECK(results[i].dtype() == backend.storage(built.outputs[i].type().dtype));
    }
  }
}

TEST_CASE("values of the grid are reproducible, exact in float and away from kinks") {
  const op_cases::CaseInput off_zero{"x", {DType::f32, {40}}, true, -1, 1, op_cases::Fill::off_zero};
  const Tensor first = op_cases::values_of(off_zero, 5), again = op_cases::values_of(off_zero, 5);
  const auto a = first.data<double>(), b = again.data<double>();
  for (std::size_t i = 0; i < a.size(); ++i) {
    CHECK(a[i] == b[i]);
    CHECK(a[i] == static_cast<double>(static_cast<float>(a[i])));
    CHECK(std::abs(a[i]) >= op_cases::kOffZero * (1 - 1e-6));
  }
  op_cases::CaseInput distinct = off_zero;
  distinct.fill = op_cases::Fill::distinct;
  const Tensor values = op_cases::values_of(distinct, 5);
  const std::set<double> unique(values.data<double>().begin(), values.data<double>().end());
  CHECK(unique.size() == values.data<double>().size());
}
