#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <string_view>

#include "core/cpu/backend.h"
#include "core/interpreter.h"
#include "core/reference/backend.h"
#include "tests/op_cases/op_cases.h"

using namespace deq;

namespace {

// |found - wanted| over |wanted| of a whole output. The grid is small (sums of at most a few hundred float32 terms,
// 6e-8 each) and its functions are well conditioned on the inputs it draws.
constexpr double kGridError = 3e-6;

// Normalising a group of two elements gives +-1 whatever they are: its gradient is what eps leaves of terms of order
// one that cancel, so its error counts against 1 an element, not against the result (about 1e-3).
const std::string_view kCancelling = "group_norm_grad: [2,1,1,8] groups 4";

double normalised_error(const Tensor& found, const Tensor& wanted, double least_size) {
  double difference = 0, scale = least_size * least_size * static_cast<double>(wanted.shape().elements());
  for (std::size_t i = 0; i < found.data<float>().size(); ++i) {
    const double expected = wanted.data<double>()[i];
    difference += std::pow(found.data<float>()[i] - expected, 2);
    scale += expected * expected;
  }
  return std::sqrt(difference) / (std::sqrt(scale) + 1e-30);
}

void expect_equal(const Tensor& found, const Tensor& wanted, double least_size) {
  REQUIRE(found.shape() == wanted.shape());
  if (found.dtype() == DType::f32) {
    CHECK(normalised_error(found, wanted, least_size) < kGridError);
  } else {
    REQUIRE(found.dtype() == wanted.dtype());
    CHECK(std::equal(found.raw(), found.raw() + found.bytes(), wanted.raw()));
  }
}

}  // namespace

TEST_CASE("the cpu backend agrees with the reference on the whole op grid") {
  ReferenceBackend reference;
  CpuBackend cpu;
  for (const op_cases::OpCase& op_case : op_cases::all()) {
    CAPTURE(op_case.name);
    const op_cases::BuiltCase built = op_cases::build(op_case);
    Bindings bindings = op_cases::bindings_of(op_case);
    const std::vector<Tensor> wanted = interpret(*built.graph, built.outputs, bindings, reference);
    for (auto& [name, value] : bindings) {  // drawn in double, exact in float
      if (value.dtype() != DType::f64) continue;
      Tensor narrow(DType::f32, value.shape());
      std::ranges::transform(value.data<double>(), narrow.data<float>().begin(),
                             [](double x) { return static_cast<float>(x); });
      value = narrow;
    }
    const std::vector<Tensor> found = interpret(*built.graph, built.outputs, bindings, cpu);
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      CAPTURE(i);
      expect_equal(found[i], wanted[i], op_case.name.starts_with(kCancelling) ? 1.0 : 0.0);
    }
  }
}
