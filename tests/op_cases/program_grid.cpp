#include "tests/op_cases/program_grid.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/interpreter.h"
#include "core/program.h"
#include "core/reference/backend.h"
#include "tests/op_cases/op_cases.h"

namespace deq::op_cases {

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// Two elements a group normalise to +-1 whatever they are: the gradient is what cancels, so errors count against 1.
constexpr std::string_view kCancelling = "group_norm_grad: [2,1,1,8] groups 4";

double normalised_error(const Tensor& found, const Tensor& wanted, double least) {
  if (found.dtype() != DType::f32) {
    const bool is_equal =
        found.type() == wanted.type() && std::equal(found.raw(), found.raw() + found.bytes(), wanted.raw());
    return is_equal ? 0 : kInfinity;
  }
  double difference = 0, scale = least * least * static_cast<double>(wanted.shape().elements());
  for (std::size_t i = 0; i < found.data<float>().size(); ++i) {
    const double expected = wanted.data<double>()[i];
    difference += std::pow(static_cast<double>(found.data<float>()[i]) - expected, 2);
    scale += expected * expected;
  }
  const double error = std::sqrt(difference) / (std::sqrt(scale) + 1e-30);
  return std::isnan(error) ? kInfinity : error;
}

bool same_bits(const Tensor& a, const Tensor& b) { return std::equal(a.raw(), a.raw() + a.bytes(), b.raw()); }

Tensor in_float(const Tensor& value) {
  if (value.dtype() != DType::f64) return value;
  Tensor narrow(DType::f32, value.shape());
  std::ranges::transform(value.data<double>(), narrow.data<float>().begin(),
                         [](double x) { return static_cast<float>(x); });
  return narrow;
}

}  // namespace

std::vector<Disagreement> compare_programs(Backend& backend, double bound) {
  ReferenceBackend reference;
  std::vector<Disagreement> out;
  for (const OpCase& op_case : all()) {
    const BuiltCase built = build(op_case);
    const Bindings bindings = bindings_of(op_case);
    const std::vector<Tensor> wanted = interpret(*built.graph, built.outputs, bindings, reference);
    Program program = Program::compile(*built.graph, built.outputs, backend);
    std::vector<Tensor> first;
    for (int run = 0; run < 3; ++run) {
      for (const auto& [name, value] : bindings)
        if (program.has_input(name)) program.bind(name, in_float(value));
      program.run();
      for (std::size_t i = 0; i < built.outputs.size(); ++i) {
        const Tensor found = program.read(built.outputs[i]);
        if (run > 0 && !same_bits(found, first[i]))
          out.push_back({concat(op_case.name, ", output ", i, ", run ", run), kInfinity});
        if (run > 0) continue;
        first.push_back(found);
        const double error = normalised_error(found, wanted[i], op_case.name.starts_with(kCancelling) ? 1.0 : 0.0);
        if (!(error < bound)) out.push_back({concat(op_case.name, ", output ", i), error});
      }
    }
  }
  return out;
}

}  // namespace deq::op_cases
