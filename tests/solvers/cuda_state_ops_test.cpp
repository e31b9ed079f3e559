#include <doctest/doctest.h>

#include <iostream>

#ifdef DEQ_CUDA
#include <cuda_runtime_api.h>

#include "core/cuda/check.h"
#include "core/cuda/device.h"
#include "core/cuda/state_ops.h"
#include "core/cuda/stream.h"
#include "tests/solvers/state_ops_cases.h"

// The contract of the solver operations on a device. States lie in managed memory, which the host may touch whenever
// the device has nothing left to do.

namespace deq::test {
namespace {

/// Runs `check` on the first GPU, or says that the test is skipped.
template <class Check>
void on_device(const Check& check) {
  if (const std::string reason = no_cuda_reason(); !reason.empty()) {
    std::cout << "SKIPPED: no CUDA device: " << reason << '\n';
    return;
  }
  cuda::Stream stream(0);
  const std::unique_ptr<StateOps> ops = cuda::make_state_ops(stream);
  const auto allocate = [](std::size_t bytes) {
    void* memory = nullptr;
    cuda::check_cuda(cudaMallocManaged(&memory, bytes), "cudaMallocManaged");
    return std::shared_ptr<void>(memory, [](void* owned) { (void)cudaFree(owned); });
  };
  check(OpsUnderTest{*ops, allocate, [&] { stream.synchronize(); }});
}

}  // namespace

TEST_CASE("solver operations on a device do what the host's do") { on_device(check_operations); }
TEST_CASE("a sample has the same bits on a device in every batch") { on_device(check_independence); }
TEST_CASE("solvers on a device take the host's steps and wait once an evaluation") { on_device(check_solvers); }

}  // namespace deq::test
#else
TEST_CASE("solver operations on a CUDA device") { std::cout << "SKIPPED: built without CUDA\n"; }
#endif
