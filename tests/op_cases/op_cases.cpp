#include "tests/op_cases/op_cases.h"

#include <algorithm>
#include <cmath>

#include "core/random.h"
#include "tests/op_cases/families.h"

namespace deq::op_cases {
namespace {

/// FNV-1a: inputs of different names get different numbers for the same seed.
std::uint32_t site_of(const std::string& name) {
  std::uint32_t hash = 2166136261U;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619U;
  return hash;
}

/// 0 .. count-1 in an order drawn from `stream` (Fisher-Yates).
std::vector<std::int64_t> shuffled(std::int64_t count, const RandomStream& stream) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(count));
  for (std::int64_t i = 0; i < count; ++i) {
    const auto j = static_cast<std::int64_t>(uniform(stream, i) * static_cast<double>(i + 1));
    order[static_cast<std::size_t>(i)] = order[static_cast<std::size_t>(j)];
    order[static_cast<std::size_t>(j)] = i;
  }
  return order;
}

Tensor floats_of(const CaseInput& input, const RandomStream& stream) {
  Tensor out(DType::f64, input.type.shape);
  const auto values = out.data<double>();
  const double span = input.high - input.low;
  std::vector<std::int64_t> order;
  if (input.fill == Fill::distinct) order = shuffled(input.type.shape.elements(), stream);
  for (std::size_t i = 0; i < values.size(); ++i) {
    double x = input.low + span * uniform(stream, static_cast<std::int64_t>(i));
    switch (input.fill) {
      case Fill::uniform: break;
      case Fill::off_zero: x += std::abs(x) < kOffZero ? std::copysign(kOffZero, x) : 0.0; break;
      case Fill::distinct:
        x = input.low + span * (static_cast<double>(order[i]) + 0.5) / static_cast<double>(values.size());
        break;
    }
    values[i] = static_cast<double>(static_cast<float>(x));
  }
  return out;
}

template <class T>
Tensor integers_of(const CaseInput& input, const RandomStream& stream) {
  Tensor out(input.type);
  const auto values = out.data<T>();
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double x = input.low + (input.high - input.low) * uniform(stream, static_cast<std::int64_t>(i));
    values[i] = static_cast<T>(std::floor(x));
  }
  return out;
}

Cases make_all() {
  Cases cases;
  add_elementwise(cases);
  add_source(cases);
  add_shape(cases);
  add_linear(cases);
  add_norm(cases);
  add_fused_norm(cases);
  add_resize(cases);
  add_pool(cases);
  add_training(cases);
  add_composed(cases);
  return cases;
}

}  // namespace

bool OpCase::is_differentiable() const {
  return differentiable_outputs > 0 &&
         std::any_of(inputs.begin(), inputs.end(), [](const CaseInput& input) { return input.is_differentiable; });
}

const std::vector<OpCase>& all() {
  static const Cases cases = make_all();
  return cases;
}

Tensor values_of(const CaseInput& input, std::uint64_t seed) {
  const RandomStream stream{seed, 0, site_of(input.name)};
  switch (input.type.dtype) {
    case DType::f32:
    case DType::f64: return floats_of(input, stream);
    case DType::i32: return integers_of<std::int32_t>(input, stream);
    case DType::i64: return integers_of<std::int64_t>(input, stream);
    case DType::u8: return integers_of<std::uint8_t>(input, stream);
    case DType::bf16: break;
  }
  throw Error(concat("op_cases: no values for ", input.type));
}

std::map<std::string, Tensor> bindings_of(const OpCase& op_case, std::uint64_t seed) {
  std::map<std::string, Tensor> bindings;
  for (const CaseInput& input : op_case.inputs) bindings[input.name] = values_of(input, seed);
  return bindings;
}

BuiltCase build(const OpCase& op_case, Mode mode) {
  BuiltCase built{std::make_unique<Graph>(mode), {}, {}};
  for (const CaseInput& input : op_case.inputs) {
    built.inputs.push_back(built.graph->input(input.name, input.type, Rate::batch));
  }
  built.outputs = op_case.build(*built.graph, built.inputs);
  return built;
}

}  // namespace deq::op_cases
