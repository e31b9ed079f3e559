#include "core/cpu/sample_conv.h"

#include <omp.h>
#ifdef __AVX512BF16__
#include <immintrin.h>
#endif

#include <array>

#include "core/cpu/bfloat16.h"

namespace deq::cpu {

namespace {

constexpr std::int64_t kMostWeights = (512 << 10) / sizeof(Bfloat16);

/// to[i] = nearest bf16 of from[i]; nan stays nan.
void round_row(const float* from, Bfloat16* to, std::int64_t n) {
  std::int64_t i = 0;
#ifdef __AVX512BF16__
  for (; i + 32 <= n; i += 32) {
    const __m512bh pair = _mm512_cvtne2ps_pbh(_mm512_loadu_ps(from + i + 16), _mm512_loadu_ps(from + i));
    _mm512_storeu_si512(to + i, reinterpret_cast<__m512i>(pair));
  }
#endif
  for (; i < n; ++i) {
    const std::uint16_t nearest = round_to_bfloat16(from[i]).bits;
    to[i].bits = from[i] != from[i] ? std::uint16_t{0x7fc0} : nearest;
  }
}

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

SampleConvKernel::SampleConvKernel(const ConvPlan& plan) : shape_(plan.shape) {
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
#pragma omp parallel for schedule(static) num_threads(static_cast <int>(convs_.size()))
  for (std::int64_t sample = 0; sample < shape_.batch; ++sample) {
    const std::int64_t in = shape_.image().elements() / shape_.batch, out = shape_.result().elements() / shape_.batch;
    const std::array<const void*, 2> inputs{from_ + sample * in, weight_};
    void* const to = to_ + sample * out;
    run_sample(inputs, {&to, 1}, workspace_ + static_cast<std::size_t>(omp_get_thread_num()) * sample_scratch_bytes());
  }
}

void SampleConvKernel::run_sample(std::span<const void* const> inputs, std::span<void* const> outputs, void* scratch) {
  OnednnConv& conv = convs_[static_cast<std::size_t>(omp_get_thread_num())];
  auto* rounded = static_cast<Bfloat16*>(scratch);
  round_row(static_cast<const float*>(inputs[0]), rounded, shape_.image().elements() / shape_.batch);
  conv.bind(rounded, inputs[1], outputs[0],
            static_cast<std::byte*>(scratch) + aligned(conv.operand_bytes(ConvOperand::image)));
  conv.run();
}

}  // namespace deq::cpu
