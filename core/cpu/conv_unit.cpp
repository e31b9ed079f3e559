#include "core/cpu/conv_unit.h"

#include <algorithm>
#include <chrono>
#include <vector>

#include "core/cpu/onednn.h"
#include "core/tensor.h"

namespace deq {

namespace {

/// Memory for floats, all 1/64: neither denormal nor growing.
AlignedBytes ordinary_floats(std::size_t bytes) {
  AlignedBytes memory = allocate_aligned(std::max<std::size_t>(bytes, 64));
  std::fill_n(reinterpret_cast<float*>(memory.get()), bytes / sizeof(float), 1.0f / 64);
  return memory;
}

}  // namespace

double convolution_unit_ms(std::span<const ConvShape> shapes, int repeats) {
  check(repeats >= 1, "convolution unit", "repeats must be at least 1, not ", repeats);
  using namespace cpu;
  std::vector<OnednnConv> passes;
  std::vector<AlignedBytes> weights;
  std::size_t image_bytes = 0, result_bytes = 0, workspace_bytes = 0;
  for (const ConvShape& shape : shapes) {
    const OnednnConv& pass =
        passes.emplace_back(ConvPlan{.shape = shape, .activations = ConvLayout::chosen, .weights = ConvLayout::chosen});
    weights.push_back(ordinary_floats(pass.operand_bytes(ConvOperand::weight)));
    image_bytes = std::max(image_bytes, pass.operand_bytes(ConvOperand::image));
    result_bytes = std::max(result_bytes, pass.operand_bytes(ConvOperand::result));
    workspace_bytes = std::max(workspace_bytes, pass.workspace_bytes());
  }
  const AlignedBytes image = ordinary_floats(image_bytes), result = ordinary_floats(result_bytes);
  const AlignedBytes workspace = ordinary_floats(workspace_bytes);
  for (std::size_t i = 0; i < passes.size(); ++i)
    passes[i].bind(image.get(), weights[i].get(), result.get(), workspace.get());

  using Clock = std::chrono::steady_clock;
  std::vector<double> rounds;
  for (int round = 0; round <= repeats; ++round) {
    const Clock::time_point begin = Clock::now();
    for (OnednnConv& pass : passes) pass.run();
    if (round > 0) rounds.push_back(std::chrono::duration<double, std::milli>(Clock::now() - begin).count());
  }
  const auto middle = rounds.begin() + static_cast<std::ptrdiff_t>(rounds.size() / 2);
  std::nth_element(rounds.begin(), middle, rounds.end());
  return *middle;
}

}  // namespace deq
