#include "core/cpu/rounded_conv.h"

#include <vector>

#include "core/cpu/bfloat16.h"
#include "core/cpu/parallel.h"

namespace deq::cpu {

namespace {

constexpr std::size_t kAlignment = 64;

/// `to` = nearest bf16 of `from`, as floats; nan stays nan.
void round_elements(const float* from, float* to, std::int64_t n) {
  parallel_elements(n, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) to[i] = from[i] != from[i] ? from[i] : widen(round_to_bfloat16(from[i]));
  });
}

class RoundedKernel final : public Kernel {
 public:
  explicit RoundedKernel(std::unique_ptr<Kernel> inner) : inner_(std::move(inner)) {}

  /// Operand `index` of `elements` floats is rounded before each run.
  void round(std::size_t index, std::int64_t elements) { copies_.push_back({index, elements, nullptr, nullptr}); }

  [[nodiscard]] std::size_t workspace_bytes() const override {
    std::size_t bytes = inner_->workspace_bytes();
    for (const Copy& copy : copies_) bytes += copy.bytes();
    return bytes;
  }
  void bind(std::span<const void* const> inputs, std::span<void* const> outputs, void* workspace) override {
    auto* free = static_cast<std::byte*>(workspace);
    std::vector<const void*> operands(inputs.begin(), inputs.end());
    for (Copy& copy : copies_) {
      copy.from = static_cast<const float*>(inputs[copy.operand]);
      copy.to = reinterpret_cast<float*>(free);
      operands[copy.operand] = copy.to;
      free += copy.bytes();
    }
    inner_->bind(operands, outputs, free);
  }
  void run() override {
    for (const Copy& copy : copies_) round_elements(copy.from, copy.to, copy.elements);
    inner_->run();
  }

 private:
  struct Copy {
    std::size_t operand;
    std::int64_t elements;
    const float* from;
    float* to;
    [[nodiscard]] std::size_t bytes() const {
      return (static_cast<std::size_t>(elements) * sizeof(float) + kAlignment - 1) / kAlignment * kAlignment;
    }
  };

  std::unique_ptr<Kernel> inner_;
  std::vector<Copy> copies_;
};

}  // namespace

bool multiplies_bf16() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx512bf16") > 0;
#else
  return false;
#endif
}

std::unique_ptr<Kernel> with_rounded_operands(const KernelRequest& request, std::unique_ptr<Kernel> inner) {
  auto rounded = std::make_unique<RoundedKernel>(std::move(inner));
  const std::size_t operands = std::holds_alternative<PackWeights>(request.op) ? 1 : 2;
  for (std::size_t i = 0; i < operands; ++i)
    if (request.inputs[i].dtype == DType::f32) rounded->round(i, request.inputs[i].shape.elements());
  return rounded;
}

}  // namespace deq::cpu
