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

/// One plan a shape; none at all where `yardstick` would change nothing.
std::vector<cpu::ConvPlan> plans_of(std::span<const ConvShape> shapes, ConvYardstick yardstick) {
  using namespace cpu;
  const ConvMethod wanted = yardstick == ConvYardstick::winograd ? ConvMethod::winograd
                            : yardstick == ConvYardstick::bf16   ? ConvMethod::bf16
                                                                 : ConvMethod::direct;
  std::vector<ConvPlan> plans;
  bool is_any_as_wanted = false;
  for (const ConvShape& shape : shapes) {
    ConvPlan plan{.shape = shape, .method = wanted, .activations = ConvLayout::chosen, .weights = ConvLayout::chosen};
    if (OnednnConv::supports(plan))
      is_any_as_wanted = true;
    else
      plan.method = ConvMethod::direct;
    plans.push_back(plan);
  }
  if (!is_any_as_wanted) plans.clear();
  return plans;
}

}  // namespace

double convolution_unit_ms(std::span<const ConvShape> shapes, int repeats, ConvYardstick yardstick,
                           const std::function<void()>& before_round) {
  check(repeats >= 1, "convolution unit", "repeats must be at least 1, not ", repeats);
  using namespace cpu;
  const std::vector<ConvPlan> plans = plans_of(shapes, yardstick);
  if (plans.empty()) return 0;
  std::vector<OnednnConv> passes;
  std::vector<AlignedBytes> weights;
  std::size_t image_bytes = 0, result_bytes = 0, workspace_bytes = 0;
  for (const ConvPlan& plan : plans) {
    const OnednnConv& pass = passes.emplace_back(plan);
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
    before_round();
    const Clock::time_point begin = Clock::now();
    for (OnednnConv& pass : passes) pass.run();
    if (round > 0) rounds.push_back(std::chrono::duration<double, std::milli>(Clock::now() - begin).count());
  }
  const auto middle = rounds.begin() + static_cast<std::ptrdiff_t>(rounds.size() / 2);
  std::nth_element(rounds.begin(), middle, rounds.end());
  return *middle;
}

}  // namespace deq
