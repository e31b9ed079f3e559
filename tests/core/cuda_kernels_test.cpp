#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <random>

#include "core/builder.h"
#include "core/cuda/conv_kernels.h"
#include "core/cuda/dispatch.h"
#include "core/cuda/host_launcher.h"
#include "core/cuda/norm_kernels.h"
#include "core/cuda/update_kernels.h"
#include "core/interpreter.h"
#include "core/program.h"
#include "core/reference/backend.h"
#include "tests/core/kernel_laws.h"
#include "tests/core/norm_pairs.h"
#include "tests/core/wide_kernel_cases.h"
#include "tests/op_cases/emulated_cuda.h"
#include "tests/op_cases/program_grid.h"

// Every kernel of ours for CUDA, run on the host index by index and block by block: what they compute, and that they
// keep to the rules of kernels. Launches and the vendor's libraries are left for a device to prove
// (cuda_device_kernels_test.cpp).

using namespace deq;
using namespace deq::tests;

namespace {

std::vector<Tensor> emulate(const KernelCase& kernel_case, const std::vector<std::uint8_t>& used, int over = -1) {
  return run_case(kernel_case, used, over, &lower_emulated);
}

}  // namespace

TEST_CASE("every CUDA kernel, emulated, agrees with the reference") {
  // As for the CPU's kernels: a few roundings of 6e-8, sums in float over at most a few hundred terms.
  constexpr double kTolerance = 2e-6;
  check_values(all_kernel_cases(), kTolerance, &lower_emulated);
}

TEST_CASE("an emulated CUDA kernel gives the same bits over an input of equal size") {
  for (const KernelCase& kernel_case : all_kernel_cases())
    for (const std::size_t input : overwritable_inputs(kernel_case)) REQUIRE(cuda::overwrites(kernel_case.op, input));
  check_overwriting(all_kernel_cases(), &lower_emulated);
}

TEST_CASE("an emulated CUDA kernel does without outputs that nobody reads") {
  check_unread_outputs(all_kernel_cases(), &lower_emulated);
}

TEST_CASE("no order of blocks or threads changes a bit of what a CUDA kernel computes") {
  // A phase that reads what another thread of it writes, or a block that reads what another writes, would show here.
  for (const KernelCase& kernel_case : all_kernel_cases()) {
    CAPTURE(kernel_case.name);
    const std::vector<Tensor> forwards = emulate(kernel_case, all_used(kernel_case));
    std::vector<int> targets{-1};
    for (const std::size_t input : overwritable_inputs(kernel_case)) targets.push_back(static_cast<int>(input));
    for (const int over : targets) {
      const auto backwards = run_case(kernel_case, all_used(kernel_case), over, &lower_emulated_reversed);
      for (std::size_t i = 0; i < forwards.size(); ++i) CHECK(same_bits(backwards[i], forwards[i]));
    }
  }
}

TEST_CASE("CUDA random draws have the bits of the CPU") {
  for (const KernelCase& kernel_case : kernel_cases()) {
    if (!std::holds_alternative<Random>(kernel_case.op)) continue;
    CHECK(same_bits(emulate(kernel_case, {1})[0], run_case(kernel_case, {1})[0]));
  }
}

TEST_CASE("a tensor too large for 32-bit indices is refused by name") {
  const Op op = Unary{UnaryFn::relu};
  const std::vector<TensorType> types{{DType::f32, {1 << 16, 1 << 15}}};
  const std::vector<std::uint8_t> used{1};
  const std::string label = "head";
  CHECK_THROWS_WITH_AS(
      (void)lower_emulated({.op = op, .inputs = types, .outputs = types, .output_used = used, .label = label}),
      doctest::Contains("more than 2147483647 elements"), Error);
}

TEST_CASE("rounding to bf16 takes the nearest, even where two are as near") {
  const auto rounded = [](float x) { return cuda::from_bf16(cuda::bf16_of(x)); };
  CHECK(rounded(1.0F) == 1.0F);
  CHECK(rounded(-3.140625F) == -3.140625F);
  CHECK(rounded(1.0F + 0x1p-8F) == 1.0F);                // half way: to even
  CHECK(rounded(1.0F + 3 * 0x1p-8F) == 1.0F + 0x1p-6F);  // half way: to even, upwards
  CHECK(rounded(1.0F + 0x1.1p-8F) == 1.0F + 0x1p-7F);
  CHECK(rounded(3.4e38F) == std::numeric_limits<float>::infinity());
  CHECK(std::isnan(rounded(std::numeric_limits<float>::quiet_NaN())));
}

TEST_CASE("packed weights read back as they were") {
  const ConvShape shape{.batch = 1,
                        .height = 5,
                        .width = 5,
                        .in_channels = 6,
                        .out_channels = 4,
                        .kernel_h = 3,
                        .kernel_w = 2,
                        .conv = {.groups = 2}};
  const Tensor weight = draw(shape.weight(), -1, 1);
  const std::int64_t n = weight.shape().elements();
  std::vector<float> packed(static_cast<std::size_t>(n)), plain(packed.size());
  const cuda::HostLauncher host;
  const float* w = weight.data<float>().data();
  host.for_each(n, cuda::ReadStrided<float>{w, packed.data(), cuda::packed_order(shape), 0});
  host.for_each(n, cuda::ReadStrided<float>{packed.data(), plain.data(), cuda::plain_order(shape), 0});
  CHECK(std::ranges::equal(plain, weight.data<float>()));
  // [o, r, s, c] of packed is [o, c, r, s] of plain.
  CHECK(packed[((2 * 3 + 1) * 2 + 1) * 3 + 2] == w[((2 * 3 + 2) * 3 + 1) * 2 + 1]);
}

TEST_CASE("joined updates do what each would have done") {
  for (const Op& op : {Op{SgdUpdate{0.9, 0.01, true}}, Op{AdamUpdate{.weight_decay = 0.02, .decoupled = true}}}) {
    const bool is_adam = std::holds_alternative<AdamUpdate>(op);
    const Tensor rate = Tensor::scalar(0.1F), t = Tensor::scalar(3.0F);
    std::vector<std::vector<Tensor>> one_by_one, together, kept;
    std::vector<std::unique_ptr<Kernel>> kernels, owned;
    std::vector<BoundLaunch> bound;
    std::vector<AlignedBytes> workspaces;
    for (int i = 0; i < 101; ++i) {  // more than one launch holds
      std::vector<Tensor> values;
      for (int k = 0; k < (is_adam ? 4 : 3); ++k) values.push_back(draw({1 + i * 7 % 40}, 0.1F, 1));
      std::vector<TensorType> types(values.size(), values[0].type());
      std::vector<Tensor> operands = values;
      operands.push_back(rate);
      types.push_back(rate.type());
      if (is_adam) operands.push_back(t), types.push_back(t.type());
      one_by_one.push_back(run_reference({"update", op, types, operands}));
      const std::vector<TensorType> results(is_adam ? 3 : 2, values[0].type());
      const std::vector<std::uint8_t> used(results.size(), 1);
      const std::string label = "update";
      auto kernel =
          lower_emulated({.op = op, .inputs = types, .outputs = results, .output_used = used, .label = label});
      workspaces.push_back(allocate_aligned(kernel->workspace_bytes()));
      std::vector<const void*> in;
      for (const Tensor& operand : operands) in.push_back(operand.raw());
      std::vector<void*> out{values[0].raw(), values[2].raw()};
      if (is_adam) out.push_back(values[3].raw());
      kernel->bind(in, out, workspaces.back().get());
      kernels.push_back(std::move(kernel));
      bound.push_back({.kernel = kernels.back().get(), .reads = {}, .writes = {}});
      kept.push_back(operands);
      together.push_back({values[0], values[2]});
      if (is_adam) together.back().push_back(values[3]);
    }
    const std::vector<BoundLaunch> joined = cuda::join_updates(bound, owned);
    REQUIRE(joined.size() == 1);
    joined[0].kernel->run();
    for (std::size_t i = 0; i < together.size(); ++i)
      for (std::size_t k = 0; k < together[i].size(); ++k)
        CHECK(relative_difference(together[i][k], one_by_one[i][k]) <= 1e-6);
    // The gradient of update 40 is what update 7 writes: they must not run side by side.
    bound[7].writes.push_back({static_cast<const std::byte*>(kept[7][0].raw()), kept[7][0].bytes()});
    bound[40].reads = bound[7].writes;
    const std::vector<BoundLaunch> tied = cuda::join_updates(bound, owned);
    REQUIRE(tied.size() == 2);
    CHECK(depend(tied[0], tied[1]));
  }
}

TEST_CASE("a group norm takes no more shared memory than its device has") {
  const std::vector<std::uint8_t> used{1, 1};
  const cuda::BlockLimits large = cuda::HostLauncher().limits(), small = cuda::HostLauncher::older().limits();
  // Samples whose quads lie in shared memory, for some only with a second norm: more than 99 KiB.
  for (const Shape& shape : {Shape{1, 24, 24, 32}, Shape{1, 28, 28, 24}, Shape{1, 32, 32, 20}, Shape{1, 46, 46, 8}}) {
    CAPTURE(shape);
    CHECK(cuda::GroupQuads::of(shape, 4, 2, large).has_value());
    CHECK_FALSE(cuda::GroupQuads::of(shape, 4, 2, small).has_value());
    const std::vector<Tensor> x{draw(shape, -1, 1)};
    const KernelCase norm{"norm", GroupNorm{.groups = 4}, {x[0].type()}, x};
    const std::vector<TensorType> outputs = norm.outputs();
    const auto kernel = cuda::lower_norm(
        {.op = norm.op, .inputs = norm.inputs, .outputs = outputs, .output_used = used, .label = norm.name},
        cuda::HostLauncher::older());
    Tensor y(outputs[0].dtype, shape), stats(outputs[1].dtype, outputs[1].shape);
    const AlignedBytes workspace = allocate_aligned(kernel->workspace_bytes());
    kernel->bind(std::array<const void*, 1>{x[0].raw()}, std::array<void*, 2>{y.raw(), stats.raw()}, workspace.get());
    kernel->run();
    CHECK(relative_difference(y, run_reference(norm)[0]) <= 1e-6);
  }
}

TEST_CASE("two norms in a row are one launch on a device, with the values of both") {
  EmulatedCuda device;
  check_norm_pairs(device, /*has_clusters=*/true, 2e-6);
}

TEST_CASE("programs on the emulated device agree with the reference on the whole op grid") {
  // Sums of at most a few hundred terms of 6e-8 each; 3.1e-7 is the largest seen.
  constexpr double kGridError = 1e-6;
  EmulatedCuda device;
  for (const op_cases::Disagreement& found : op_cases::compare_programs(device, kGridError)) {
    CAPTURE(found.where);
    CHECK(found.error < kGridError);
  }
}
