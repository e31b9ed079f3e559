#include <doctest/doctest.h>

#include "autodiff/vjp.h"
#include "coupled_blocks.h"

using namespace deq;
using namespace deq::tests;

// The implicit gradient, compiled and solved to rounding, against the gradient through a long unrolled iteration.

TEST_CASE("the implicit gradient equals the gradient through the converged iteration") {
  CoupledBlocks unrolled;
  const std::vector<Tensor> expected =
      unrolled.interpreted(gradients(CoupledBlocks::loss(unrolled.unrolled()), unrolled.variables()));
  for (const auto passes : {CoupledBlocks::Passes::applied, CoupledBlocks::Passes::iterate}) {
    CoupledBlocks implicit;
    const Blocks found = gradients(CoupledBlocks::loss(implicit.solved(passes)), implicit.variables());
    // Both are computed in double; reading a program rounds to float32 (6e-8).
    check_agreement(implicit.compiled(found), expected, 2e-7);
  }
}
