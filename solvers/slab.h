#pragma once

#include <cstddef>

#include "core/state_ops.h"

namespace deq {

/// Hands out consecutive pieces of one memory region. A slab without memory hands out null and only adds up, so the
/// same layout code answers "how many bytes" and "where".
class Slab {
 public:
  Slab() = default;
  explicit Slab(void* memory) : memory_(static_cast<std::byte*>(memory)) {}

  [[nodiscard]] StateStack take(const StateSpec& spec, int count) {
    const std::size_t stride = (spec.bytes() + kAlignment - 1) / kAlignment * kAlignment;
    StateStack stack{memory_ == nullptr ? nullptr : memory_ + used_, stride};
    used_ += stride * static_cast<std::size_t>(count);
    return stack;
  }
  [[nodiscard]] StateView take(const StateSpec& spec) { return take(spec, 1).at(0); }
  [[nodiscard]] std::size_t used_bytes() const { return used_; }

 private:
  static constexpr std::size_t kAlignment = 64;
  std::byte* memory_ = nullptr;
  std::size_t used_ = 0;
};

}  // namespace deq
