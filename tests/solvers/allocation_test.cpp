#include <doctest/doctest.h>

#include "tests/op_cases/allocation_counter.h"
#include "tests/solvers/toy_maps.h"

namespace deq::test {
namespace {

/// f(z) = -z / 2 + 1 without memory of its own.
class QuietMap final : public FixedPointMap {
 public:
  explicit QuietMap(const StateSpec& layout) : in(layout), out(layout) {}
  [[nodiscard]] const StateSpec& spec() const override { return in.spec; }
  StateView input() override { return in.view(); }
  StateView output() override { return out.view(); }
  void replay() override {
    const auto* z = static_cast<const float*>(in.view().data);
    auto* f = static_cast<float*>(out.view().data);
    for (std::int64_t i = 0; i < in.spec.elements(); ++i) f[i] = -0.5F * z[i] + static_cast<float>(i % 3);
  }
  State in;
  State out;
};

}  // namespace

TEST_CASE("a solve and its adjoint allocate nothing") {
  const StateSpec spec{.batch = 3, .block_elems = {10, 4}};
  HostStateOps ops;
  for (const SolverMethod& method : {SolverMethod(Picard{}), SolverMethod(Anderson{}), SolverMethod(Broyden{}),
                                     SolverMethod(Broyden{.form = BroydenForm::low_rank})})
    for (const AdjointOptions& options :
         {AdjointOptions(JacobianFree{}), AdjointOptions(SharedInverse{kShineGain}), AdjointOptions(Refined{}),
          AdjointOptions(FullAdjoint{}), AdjointOptions(KrylovAdjoint{}),
          AdjointOptions(KrylovAdjoint{.method = KrylovMethod::bicgstab}), AdjointOptions(NeumannSeries{}),
          AdjointOptions(NystromColumns{})}) {
      BoundLoop forward(spec, {.method = method, .max_steps = 6, .tolerance = {.value = 0.0}});
      Adjoint adjoint(spec, ops, options);
      const AlignedBytes workspace = allocate_aligned(adjoint.workspace_bytes() + 64);
      adjoint.bind(workspace.get());
      QuietMap map(spec);
      const State z(spec);
      const State w = random_state(spec, 1);
      const State u(spec);
      SolveReport report;
      report.resize(spec.batch);
      forward.report.resize(spec.batch);
      const std::size_t before = tests::allocations();
      forward.loop.solve(map, z.view(), forward.report);
      adjoint.solve(map, forward.loop.estimate(), forward.report, w.view(), u.view(), report);
      CHECK(tests::allocations() == before);
    }
}

}  // namespace deq::test
