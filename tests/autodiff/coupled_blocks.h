#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/interpreter.h"
#include "tests/op_cases/plain_solvers.h"

namespace deq::tests {

using Blocks = std::vector<Value>;

/// A fixed point of two coupled blocks of different widths; the second hands the first's mean through, so J is not
/// diagonal, nor symmetric. One step contracts by less than 0.7, and 0.7^kSteps is below 1e-18.
struct CoupledBlocks {
  static constexpr int kSteps = 120;

  Graph graph{Mode::training};
  Bindings bindings;
  Value a, b, x;

  CoupledBlocks();
  [[nodiscard]] Blocks f(const Blocks& z) const;
  [[nodiscard]] Blocks start();
  [[nodiscard]] static Value loss(const Blocks& z);
  [[nodiscard]] Blocks variables() const { return {a, b, x}; }

  /// kSteps applications of f.
  [[nodiscard]] Blocks unrolled();
  /// The same by an equilibrium node: f(z*), or z* with the derivative of that.
  enum class Passes { applied, iterate };
  [[nodiscard]] Blocks solved(Passes passes);

  /// An input of this name whose values, of a float's precision, `phase` chooses.
  Value bound(const std::string& name, Shape shape, std::uint64_t phase = 3);
  /// In double where nothing is solved.
  [[nodiscard]] std::vector<Tensor> interpreted(const Blocks& outputs) const;
  /// Compiled for the reference backend, which computes in double; read as floats.
  [[nodiscard]] std::vector<Tensor> compiled(const Blocks& outputs) const;
};

/// Checks floats against doubles: each within `tolerance` of the largest of its tensor.
void check_agreement(const std::vector<Tensor>& found, const std::vector<Tensor>& expected, double tolerance);

}  // namespace deq::tests
