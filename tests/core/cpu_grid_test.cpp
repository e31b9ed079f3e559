#include <doctest/doctest.h>

#include "core/cpu/backend.h"
#include "core/interpreter.h"
#include "core/reference/backend.h"
#include "tests/core/cpu_kernel_cases.h"
#include "tests/op_cases/op_cases.h"

using namespace deq;

TEST_CASE("the cpu backend agrees with the reference on the whole op grid") {
  // Relative to the largest element: float32 results of at most some thousand terms stay within 1e-6 of it; five times
  // that covers the cases that chain two ops.
  constexpr double kTolerance = 5e-6;
  // Two values normalised together become +-1 whatever they are, so their gradient vanishes up to eps / var, about
  // 1e-4: it is a difference of terms 1e4 times larger, and float32 keeps 1e4 * 6e-8 of it.
  constexpr double kToleranceOfPairs = 1e-3;
  CpuBackend cpu;
  ReferenceBackend reference;
  for (const op_cases::OpCase& op_case : op_cases::all()) {
    CAPTURE(op_case.name);
    const op_cases::BuiltCase built = op_cases::build(op_case);
    const auto bindings = op_cases::bindings_of(op_case);
    const std::vector<Tensor> found = interpret(*built.graph, built.outputs, bindings, cpu);
    const std::vector<Tensor> wanted = interpret(*built.graph, built.outputs, bindings, reference);
    const bool has_pairs = op_case.name.starts_with("group_norm_grad: [2,1,1,8] groups 4");
    for (std::size_t i = 0; i < found.size(); ++i) {
      CAPTURE(i);
      CHECK(tests::relative_difference(found[i], wanted[i]) <= (has_pairs ? kToleranceOfPairs : kTolerance));
    }
  }
}
