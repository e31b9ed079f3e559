#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/graph.h"

// The op grid: every operation on a grid of shapes, strides, paddings and flags. One list serves the gradient checks
// (in double on the reference backend) and the comparison of every other backend with the reference.

namespace deq::op_cases {

/// How the values of an input are drawn. All are exact in float32, so that every backend starts from the same numbers.
enum class Fill : std::uint8_t {
  uniform,   ///< uniform on [low, high); integer types: integers of [low, high)
  off_zero,  ///< as uniform, but never closer to 0 than kOffZero: for functions with a kink at 0
  distinct,  ///< evenly spaced on [low, high), shuffled: no ties, for maxima
};
inline constexpr double kOffZero = 0.05;

/// One named input of a case.
struct CaseInput {
  std::string name;
  TensorType type;
  bool is_differentiable = false;  ///< gradcheck differentiates with respect to it
  double low = -1;
  double high = 1;
  Fill fill = Fill::uniform;
};

/// A small graph around one op. `build` receives the inputs in the order of `inputs` and returns the values to compare.
struct OpCase {
  std::string name;  ///< "op: what is special", unique
  std::vector<CaseInput> inputs;
  std::function<std::vector<Value>(Graph&, const std::vector<Value>&)> build;
  /// Leading outputs of `build` that gradcheck differentiates; 0 when the case is only compared between backends.
  int differentiable_outputs = 1;

  /// True when gradcheck has something to do: an output and an input to differentiate.
  [[nodiscard]] bool is_differentiable() const;
};

/// Every case of the grid, in a fixed order.
const std::vector<OpCase>& all();

/// Deterministic values of one input. Float inputs come as f64, integer inputs in their own type.
Tensor values_of(const CaseInput& input, std::uint64_t seed);
/// Deterministic values of every input of `op_case`, by name.
std::map<std::string, Tensor> bindings_of(const OpCase& op_case, std::uint64_t seed = 1);

/// A case traced into a graph of its own (inputs at rate batch).
struct BuiltCase {
  std::unique_ptr<Graph> graph;
  std::vector<Value> inputs;
  std::vector<Value> outputs;
};
BuiltCase build(const OpCase& op_case, Mode mode = Mode::training);

}  // namespace deq::op_cases
