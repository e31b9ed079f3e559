#include "tests/train/second_derivative.h"

#include <doctest/doctest.h>

#include "core/cpu/backend.h"
#include "core/reference/backend.h"
#include "tests/op_cases/emulated_cuda.h"

// Second derivatives through the equilibrium of a whole model: every operation of f is differentiated twice, and both
// linear systems are solved.

namespace deq::test {

TEST_CASE("the Hessian of a whole model times a vector is what differences of its gradient say") {
  SecondDerivativeProblem problem;
  ReferenceBackend reference;
  const SecondDerivatives middle = problem.at(0, reference);
  constexpr float kStep = 1.0F / 32768;  // few relus change sides within it
  const SecondDerivatives left = problem.at(-kStep, reference), right = problem.at(kStep, reference);
  std::vector<double> difference(middle.product.size());
  for (std::size_t i = 0; i < difference.size(); ++i)
    difference[i] = (right.gradient[i] - left.gradient[i]) / (2.0 * kStep);
  CHECK(norm(middle.product) > 1e-4);
  CHECK(relative_difference(difference, middle.product) < 1e-3);
  CHECK(norm(middle.tangent) > 1e-4);
}

TEST_CASE("the processor and the emulated device give the reference's second derivatives") {
  SecondDerivativeProblem problem;
  ReferenceBackend reference;
  CpuBackend cpu;
  tests::EmulatedCuda device;
  const SecondDerivatives expected = problem.at(0, reference);
  for (Backend* backend : std::initializer_list<Backend*>{&cpu, &device}) {
    const SecondDerivatives found = problem.at(0, *backend);
    CHECK(relative_difference(found.gradient, expected.gradient) < 1e-3);
    CHECK(relative_difference(found.product, expected.product) < 1e-3);
    CHECK(relative_difference(found.tangent, expected.tangent) < 1e-3);
  }
}

}  // namespace deq::test
