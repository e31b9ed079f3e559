#include <doctest/doctest.h>

#include "tests/solvers/queued_runner.h"
#include "tests/solvers/state_ops_cases.h"
#include "tests/solvers/toy_maps.h"

// The kernels of the CUDA solver operations, run by the host one thread after the other and as late as possible.

namespace deq::test {
namespace {

struct Queued {
  QueuedStateOps ops;
  OpsUnderTest tested{ops, [](std::size_t bytes) { return std::shared_ptr<void>(allocate_aligned(bytes)); },
                      [this] { ops.runner().wait(); }};
};

}  // namespace

TEST_CASE("queued solver kernels do what the host's operations do") { check_operations(Queued().tested); }

TEST_CASE("queued solver kernels give a sample the same bits in every batch") { check_independence(Queued().tested); }

TEST_CASE("solvers read no scalar before queued kernels have run") { check_solvers(Queued().tested); }

TEST_CASE("a product step is queued without waiting, and its scalars come with the next residual") {
  const StateSpec spec{.batch = 2, .block_elems = {9}};
  QueuedStateOps ops;
  const State step = random_state(spec, 1), z(spec), f = random_state(spec, 2);
  std::vector<double> coefficient(2, -1.0), norm(2), objective(2), best(2, HUGE_VAL);
  std::vector<std::uint8_t> broke(2, 7), improved(2);
  ops.product_step(spec, {single(step.view()), 0, coefficient, z.view(), {}, 1e-6, broke}, {});
  CHECK(ops.host_waits() == 0);
  CHECK(coefficient[0] == -1.0);
  ops.residual(spec,
               {.z = z.view(),
                .f = f.view(),
                .r = {},
                .best = {},
                .residual_norm = norm,
                .objective = objective,
                .best_objective = best,
                .improved = improved},
               {});
  CHECK(ops.host_waits() == 1);
  CHECK(coefficient[1] == doctest::Approx(1.0 / dot(step.sample(1), step.sample(1))));
  CHECK(broke[0] == 0);
}

TEST_CASE("scalars larger than their memory make it grow, and full memory makes the host wait") {
  const StateSpec spec{.batch = 40000, .block_elems = {1}};
  QueuedStateOps ops;
  const State x = random_state(spec, 3), out(spec);
  const std::vector<double> ones(4 * 40000, 1.0);  // 1.28 MB, more than the first reservation
  for (int i = 0; i < 5; ++i) ops.combine(spec, 1.0, ones, {x.view().data, 0}, 4, out.view(), {});
  ops.runner().wait();
  CHECK(ops.host_waits() >= 2);
  CHECK(out.sample(39999)[0] == doctest::Approx(20.0 * x.sample(39999)[0]));
}

TEST_CASE("a state with too many blocks for the kernels is refused by number") {
  QueuedStateOps ops;
  const StateSpec spec{.batch = 1, .block_elems = std::vector<std::int64_t>(cuda::kMostStateBlocks + 1, 1)};
  const State x(spec), y(spec);
  CHECK_THROWS_AS(ops.copy(spec, x.view(), y.view(), {}), Error);
}

TEST_CASE("a sample's threads depend on its size alone and are whole warps of a block or a cluster") {
  for (const std::int64_t elems : {1, 31, 129, 4096, 30720, 1 << 20}) {
    CHECK(cuda::threads_for_sample(elems) % cuda::kWarp == 0);
    CHECK(cuda::threads_for_sample(elems) >= cuda::kWarp);
    const int threads = cuda::threads_for_sample(elems);
    CHECK((threads <= cuda::kMostSampleThreads || threads == cuda::kClusterThreads));
  }
}

}  // namespace deq::test
