#pragma once

#include <cstddef>

#include "core/backend.h"

namespace deq {

/// Memory of one or more programs of a backend. Several programs may have their place in one arena when they are used
/// in turn, each from binding its inputs to reading its results: what a program has written is lost as soon as another
/// one is bound or run.
class Arena {
 public:
  /// Errors: as Backend::allocate.
  Arena(Backend& backend, std::size_t bytes) : memory_(backend.allocate(bytes)), bytes_(bytes) {}

  [[nodiscard]] std::byte* data() const { return memory_.get(); }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }

  /// Makes `program` the one whose values the arena holds. Returns false where it was that already.
  bool enter(const void* program) {
    const bool is_new = tenant_ != program;
    tenant_ = program;
    return is_new;
  }
  [[nodiscard]] bool holds(const void* program) const { return tenant_ == program; }

 private:
  AlignedBytes memory_;
  std::size_t bytes_;
  const void* tenant_ = nullptr;
};

}  // namespace deq
