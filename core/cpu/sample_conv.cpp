#include "core/cpu/sample_conv.h"

#include <omp.h>

#include <array>

#include "core/cpu/bfloat16_rows.h"
#include "core/cpu/parallel.h"

namespace deq::cpu {

namespace {

constexpr std::int64_t kMostWeights = (512 << 10) / sizeof(Bfloat16);

}  // namespace

ConvPlan SampleConvKernel::of_one(const ConvPlan& plan) {
  ConvPlan one = plan;
  one.shape.batch = 1;
  one.activations = ConvLayout::inner;
  one.threads = 1;
  return one;
}

bool SampleConvKernel::fits(const ConvPlan& plan) {
  return plan.role == ConvRole::forward && plan.method == ConvMethod::bf16 && plan.weights == ConvLayout::chosen &&
         plan.shape.batch >= omp_get_max_threads() && plan.shape.weight().elements() <= kMostWeights &&
         OnednnConv::supports(of_one(plan));
}

SampleConvKernel::SampleConvKernel(const ConvPlan& plan)
    : shape_(plan.shape), threads_(threads_for_products(plan.shape.multiply_adds())) {
  for (int thread = 0; thread < omp_get_max_threads(); ++thread) convs_.emplace_back(of_one(plan));
}

std::size_t SampleConvKernel::sample_scratch_bytes() const {
  return aligned(convs_[0].operand_bytes(ConvOperand::image)) + aligned(convs_[0].workspace_bytes());
}

std::size_t SampleConvKernel::workspace_bytes() const { return convs_.size() * sample_scratch_bytes(); }

void SampleConvKernel::bind(std::span<const void* const> inputs, std::span<void* const> outputs, void* workspace) {
  from_ = static_cast<const float*>(inputs[0]);
  weight_ = inputs[1];
  to_ = static_cast<float*>(outputs[0]);
  workspace_ = static_cast<std::byte*>(workspace);
}

void SampleConvKernel::run() {
  const std::int64_t in = shape_.image().elements() / shape_.batch, out = shape_.result().elements() / shape_.batch;
  on_team(threads_, [&] {
    std::byte* const scratch = workspace_ + static_cast<std::size_t>(omp_get_thread_num()) * sample_scratch_bytes();
#pragma omp for schedule(static)
    for (std::int64_t sample = 0; sample < shape_.batch; ++sample) {
      const std::array<const void*, 2> inputs{from_ + sample * in, weight_};
      void* const to = to_ + sample * out;
      run_sample(inputs, {&to, 1}, scratch);
    }
  });
}

void SampleConvKernel::run_sample(std::span<const void* const> inputs, std::span<void* const> outputs, void* scratch) {
  OnednnConv& conv = convs_[static_cast<std::size_t>(omp_get_thread_num())];
  auto* rounded = static_cast<Bfloat16*>(scratch);
  const std::int64_t elements = shape_.image().elements() / shape_.batch;
  round_rows(static_cast<const float*>(inputs[0]), 1, elements, rounded, elements);
  conv.bind(rounded, inputs[1], outputs[0],
            static_cast<std::byte*>(scratch) + aligned(conv.operand_bytes(ConvOperand::image)));
  conv.run();
}

}  // namespace deq::cpu
