#pragma once

#include <memory>

#include "core/backend.h"

namespace deq::cpu {

/// Sums in float over fixed runs, joined in double in order: the same for any number of threads.
std::unique_ptr<Kernel> lower_sum(const KernelRequest& request, const Sum& op);

}  // namespace deq::cpu
