#include "core/cpu/parallel.h"

#include <doctest/doctest.h>

#include <array>

#include "core/cpu/host_state_ops.h"
#include "core/tensor.h"

using namespace deq;

namespace {

/// Sums of a loop of five on a team, called by each of two threads: each must run all of it.
std::array<int, 2> sums_within_region(std::int64_t threads) {
  std::array<int, 2> sums{};
#pragma omp parallel num_threads(2)
  {
    int own = 0;
    cpu::on_team(threads, [&] {
#pragma omp for schedule(static)
      for (int i = 0; i < 5; ++i) own += i;
    });
    sums[static_cast<std::size_t>(omp_get_thread_num())] = own;
  }
  return sums;
}

}  // namespace

TEST_CASE("a team shares its loops, and alone it runs them on the calling thread") {
  for (const std::int64_t threads : {1, 3}) {
    CAPTURE(threads);
    std::array<int, 100> runs{};
    int members = 0;
    cpu::on_team(threads, [&] {
#pragma omp atomic
      ++members;
#pragma omp for schedule(static)
      for (std::size_t i = 0; i < runs.size(); ++i) ++runs[i];
    });
    CHECK(members == threads);
    for (const int each : runs) CHECK(each == 1);
  }
}

TEST_CASE("a team within a parallel region shares nothing with the threads of that region") {
  for (const std::int64_t threads : {1, 3}) {
    CAPTURE(threads);
    const std::array<int, 2> sums = sums_within_region(threads);
    CHECK(sums[0] == 10);
    CHECK(sums[1] == 10);
  }
}

TEST_CASE("rows are copied alike on one thread and on several") {
  HostStateOps ops;
  for (const std::int64_t length : {3, 8192}) {
    const std::array<int, 3> from_rows{2, 0, 3}, to_rows{0, 3, 1};
    Tensor from(DType::f32, {4, length}), to(DType::f32, {4, length});
    float value = 0.0F;
    for (float& each : from.data<float>()) each = ++value;
    ops.copy_rows(from.raw(), from_rows, to.raw(), to_rows, static_cast<std::size_t>(length) * sizeof(float));
    for (std::size_t i = 0; i < from_rows.size(); ++i)
      for (std::int64_t k = 0; k < length; ++k)
        REQUIRE(to.data<float>()[static_cast<std::size_t>(to_rows[i] * length + k)] ==
                from.data<float>()[static_cast<std::size_t>(from_rows[i] * length + k)]);
  }
}
