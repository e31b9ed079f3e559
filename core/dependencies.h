#pragma once

#include <span>
#include <vector>

#include "core/backend.h"

namespace deq {

/// True when one of the two writes what the other touches.
bool depend(const BoundLaunch& a, const BoundLaunch& b);

/// By launch, the ones before it that must end before it may start, because one of the two writes what the other
/// touches. Those that another one already waits for are left out.
std::vector<std::vector<std::size_t>> dependencies_of(std::span<const BoundLaunch> launches);

}  // namespace deq
