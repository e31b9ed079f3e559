#include "core/einsum.h"

#include <doctest/doctest.h>

#include <cmath>
#include <map>

#include "core/builder.h"
#include "core/cpu/backend.h"
#include "core/program.h"

using namespace deq;

namespace {

const std::map<char, std::int64_t> kExtents{{'b', 3}, {'h', 2}, {'i', 4}, {'j', 5}, {'k', 3}, {'d', 2}};

Shape shape_of(const std::string& letters) {
  std::vector<std::int64_t> extents;
  for (const char letter : letters) extents.push_back(kExtents.at(letter));
  return Shape(extents);
}

Tensor wave(const Shape& shape, double phase) {
  Tensor out(DType::f32, shape);
  const auto values = out.data<float>();
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = static_cast<float>(std::sin(1.3 * static_cast<double>(i) + phase));
  return out;
}

/// Where the element lies that has these places along its letters.
std::size_t position(const std::string& letters, const std::map<char, std::int64_t>& places) {
  std::int64_t at = 0;
  for (const char letter : letters) at = at * kExtents.at(letter) + places.at(letter);
  return static_cast<std::size_t>(at);
}

/// The sum over all places of all letters, in double.
std::vector<double> by_definition(const std::string& a, const std::string& b, const std::string& result,
                                  const Tensor& x, const Tensor& y) {
  std::vector<double> out(static_cast<std::size_t>(shape_of(result).elements()));
  std::map<char, std::int64_t> places;
  for (const char letter : a + b) places[letter] = 0;
  for (bool is_done = false; !is_done;) {
    out[position(result, places)] += static_cast<double>(x.data<float>()[position(a, places)]) *
                                     static_cast<double>(y.data<float>()[position(b, places)]);
    is_done = true;
    for (auto& [letter, place] : places) {
      if (++place < kExtents.at(letter)) {
        is_done = false;
        break;
      }
      place = 0;
    }
  }
  return out;
}

int transpositions(const Graph& graph) {
  int count = 0;
  for (NodeId id = 0; id < graph.size(); ++id) count += std::holds_alternative<Transpose>(graph.node(id).op) ? 1 : 0;
  return count;
}

}  // namespace

TEST_CASE("einsum is the sum that its letters say") {
  const std::vector<std::vector<std::string>> formulas{
      {"ij", "jk", "ik"},       {"ij", "kj", "ik"},       {"ji", "jk", "ki"},        {"bij", "bkj", "bik"},
      {"bihd", "bjhd", "bhij"}, {"bhij", "bjhd", "bihd"}, {"bij", "jk", "bik"},      {"b", "b", ""},
      {"b", "i", "bi"},         {"bi", "bi", "bi"},       {"bi", "ib", "ib"},        {"bij", "bij", "b"},
      {"bijk", "jd", "dbi"},    {"bij", "b", "bji"},      {"", "ij", "ji"},          {"ijk", "d", "kd"},
      {"bhi", "hij", "bhj"},    {"ij", "kd", "ijkd"},     {"bhijk", "kbdh", "hdbi"}, {"bihd", "hdj", "bihj"},
      {"hdj", "bihd", "bijh"},  {"hd", "bhdk", "bkhd"}};
  for (const std::vector<std::string>& parts : formulas) {
    const std::string &a = parts[0], &b = parts[1], &result = parts[2];
    CAPTURE(a);
    CAPTURE(b);
    CAPTURE(result);
    Graph graph;
    const Value x = graph.input("x", {DType::f32, shape_of(a)}, Rate::batch),
                y = graph.input("y", {DType::f32, shape_of(b)}, Rate::batch);
    const Value z = einsum(a + ',' + b + "->" + result, x, y);
    REQUIRE(z.shape() == shape_of(result));
    CpuBackend cpu;
    Program program = Program::compile(graph, {z}, cpu);
    const Tensor left = wave(x.shape(), 0.1), right = wave(y.shape(), 0.7);
    program.bind(x, left);
    program.bind(y, right);
    program.run();
    const std::vector<double> wanted = by_definition(a, b, result, left, right);
    const Tensor found = program.read(z);
    double worst = 0;
    for (std::size_t i = 0; i < wanted.size(); ++i)
      worst = std::max(worst, std::abs(static_cast<double>(found.data<float>()[i]) - wanted[i]));
    CHECK(worst < 1e-5);  // float sums of up to 30 terms of size 1
  }
}

TEST_CASE("einsum turns no array round whose axes a product takes as they lie") {
  Graph graph;
  const Value x = graph.input("x", {DType::f32, {3, 4, 5}}, Rate::batch),
              y = graph.input("y", {DType::f32, {3, 2, 5}}, Rate::batch),
              w = graph.input("w", {DType::f32, {5, 6}}, Rate::batch);
  CHECK(einsum("bij,bkj->bik", x, y) == matmul(x, y, false, true));
  (void)einsum("bij,bik->bjk", x, x);
  CHECK(einsum("b i j, j d -> b i d", x, w).shape() == Shape{3, 4, 6});
  CHECK(transpositions(graph) == 0);
}

TEST_CASE("einsum refuses what its formula does not say") {
  Graph graph;
  const Value x = graph.input("x", {DType::f32, {3, 4}}, Rate::batch);
  const auto message = [&](const char* formula) {
    try {
      (void)einsum(formula, x, x);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  CHECK(message("ij->ji") == "einsum: 'ij->ji' is no formula of two operands, such as 'bij,bjk->bik'");
  CHECK(message("ij,ij") == "einsum: 'ij,ij' is no formula of two operands, such as 'bij,bjk->bik'");
  CHECK(message("ii,ij->j") == "einsum: 'ii,ij->j' has 'i' twice in 'ii'");
  CHECK(message("i.,ij->j") == "einsum: 'i.,ij->j' has '.', which is no letter");
  CHECK(message("ij,ij->k") == "einsum: 'ij,ij->k': no operand has 'k'");
  CHECK(message("ijk,ij->k") == "einsum: 'ijk' names 3 axes, but the operand is f32[3,4] ('ijk,ij->k')");
  CHECK(message("ij,jk->ik") == "einsum: 'j' is 4 in f32[3,4] but 3 in f32[3,4] ('ij,jk->ik')");
  CHECK_THROWS_WITH_AS((void)einsum("ij,jk->ik", x, Value{}), doctest::Contains("einsum: an empty value"), Error);
}
