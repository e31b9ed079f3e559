#include <doctest/doctest.h>
#include <omp.h>

#include <algorithm>
#include <set>

#include "tests/core/kernel_laws.h"
#include "tests/op_cases/allocation_counter.h"

using namespace deq;
using namespace deq::tests;

namespace {

/// Sets the number of threads and puts it back.
class Threads {
 public:
  explicit Threads(int count) : before_(omp_get_max_threads()) { omp_set_num_threads(count); }
  ~Threads() { omp_set_num_threads(before_); }
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;

 private:
  int before_;
};

}  // namespace

TEST_CASE("every cpu kernel agrees with the reference") {
  // Relative to the largest element. A float32 result of a few operations is off by a few 6e-8; float sums of up to
  // 4096 elements, and a normalisation's division by a variance, stay under 30 of these.
  constexpr double kTolerance = 2e-6;
  check_values(kernel_cases(), kTolerance);
}

TEST_CASE("the cases cover every op outside convolutions and products") {
  std::set<std::size_t> covered;
  for (const KernelCase& kernel_case : kernel_cases()) {
    CHECK(static_cast<bool>(factory_of(kernel_case.op)));
    covered.insert(kernel_case.op.index());
  }
  // All but Input, MatMul, three convolutions, PackWeights, ConvBlock, GroupNormPair and four nodes of equilibria.
  CHECK(covered.size() == std::variant_size_v<Op> - 12);
}

TEST_CASE("an output over an input of equal size gets the same bits") { check_overwriting(kernel_cases()); }

TEST_CASE("an output that nobody reads changes nothing in the others") { check_unread_outputs(kernel_cases()); }

TEST_CASE("results do not depend on the number of threads") {
  for (const KernelCase& kernel_case : kernel_cases()) {
    CAPTURE(kernel_case.name);
    std::vector<std::vector<Tensor>> results;
    for (const int count : {1, 2, 3}) {
      const Threads threads(count);
      results.push_back(run_case(kernel_case, all_used(kernel_case)));
    }
    for (std::size_t i = 0; i < results[0].size(); ++i) {
      CHECK(same_bits(results[1][i], results[0][i]));
      CHECK(same_bits(results[2][i], results[0][i]));
    }
  }
}

TEST_CASE("running a bound kernel allocates nothing") {
  for (const KernelCase& kernel_case : kernel_cases()) {
    CAPTURE(kernel_case.name);
    std::vector<Tensor> values = kernel_case.values, results;
    std::vector<const void*> inputs;
    std::vector<void*> outputs;
    for (const Tensor& value : values) inputs.push_back(value.raw());
    const std::vector<TensorType> types = kernel_case.outputs();
    for (const TensorType& type : types) outputs.push_back(results.emplace_back(type).raw());
    const std::vector<std::uint8_t> used = all_used(kernel_case);
    const auto kernel = factory_of(kernel_case.op)({.op = kernel_case.op,
                                                    .inputs = kernel_case.inputs,
                                                    .outputs = types,
                                                    .output_used = used,
                                                    .label = kernel_case.name});
    const AlignedBytes workspace = allocate_aligned(kernel->workspace_bytes());
    kernel->bind(inputs, outputs, workspace.get());
    kernel->run();
    const std::size_t before = allocations();
    kernel->run();
    kernel->run();
    CHECK(allocations() == before);
  }
}

TEST_CASE("group normalisation keeps its precision far from zero") {
  // Mean 1000, spread 1: a float sum of squares would lose all digits of the variance. The input itself is rounded to
  // 6e-5 of the spread, and the float factors act on values of 1000: an absolute error of 1000 * 2 * 6e-8.
  constexpr double kTolerance = 2e-4;
  for (const auto& [shape, groups] : {std::pair{Shape{2, 32, 32, 24}, 8}, std::pair{Shape{64, 48}, 1}}) {
    Tensor x(DType::f32, shape);
    std::uint32_t state = 1;
    for (float& value : x.data<float>()) {
      state = state * 1664525U + 1013904223U;
      value = 1000.0F + static_cast<float>(state >> 8) * 0x1p-23F - 1.0F;
    }
    const KernelCase kernel_case{"far from zero", GroupNorm{.groups = groups}, {x.type()}, {x}};
    const std::vector<Tensor> found = run_case(kernel_case, {1, 1}), wanted = run_reference(kernel_case);
    CHECK(relative_difference(found[0], wanted[0]) <= kTolerance);
    CHECK(relative_difference(found[1], wanted[1]) <= 1e-6);
  }
}
