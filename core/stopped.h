#pragma once

#include <atomic>

#include "core/error.h"

namespace deq {

/// A solve ended because it was asked to (ProgramOptions::stop); what it was part of has no result.
class Stopped : public Error {
 public:
  Stopped() : Error("program: stopped in a solve, as asked") {}
};

/// Throws Stopped once `stop` is true; null never asks.
inline void obey(const std::atomic<bool>* stop) {
  if (stop != nullptr && stop->load(std::memory_order_relaxed)) [[unlikely]]
    throw Stopped();
}

}  // namespace deq
