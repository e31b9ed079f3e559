#include <doctest/doctest.h>

#include <iostream>

#ifdef DEQ_CUDA
#include "core/cuda/backend.h"
#include "core/cuda/device.h"
#endif
#include "tests/op_cases/program_grid.h"

// The op grid on a device, precision by precision. Programs run three times, so captured segments are compared too.

#ifdef DEQ_CUDA
namespace {

void check_grid(deq::CudaOptions options, double bound) {
  if (const std::string reason = deq::no_cuda_reason(); !reason.empty()) {
    std::cout << "SKIPPED: no CUDA device: " << reason << '\n';
    return;
  }
  deq::CudaBackend backend(0, options);
  for (const deq::op_cases::Disagreement& found : deq::op_cases::compare_programs(backend, bound)) {
    CAPTURE(found.where);
    CHECK(found.error < bound);
  }
  CHECK(backend.captured_segments() > 0);
  CHECK(backend.uncaptured_segments() == 0);
}

}  // namespace

TEST_CASE("a CUDA device in f32 agrees with the reference on the whole op grid") {
  check_grid({.precision = deq::CudaPrecision::f32, .is_deterministic = true}, 1e-6);
}

TEST_CASE("a CUDA device in tf32 agrees with the reference on the whole op grid") {
  check_grid({.precision = deq::CudaPrecision::tf32, .is_deterministic = true}, 1e-3);
}

TEST_CASE("a CUDA device in bf16 agrees with the reference on the whole op grid") {
  check_grid({.precision = deq::CudaPrecision::bf16, .is_deterministic = true}, 1e-2);
}
#else
TEST_CASE("the op grid on a CUDA device") { std::cout << "SKIPPED: built without CUDA\n"; }
#endif
