#pragma once

#include <memory>

#include "core/state_ops.h"

namespace deq::cuda {

class Stream;

/// The solvers' vector operations on `stream`, which must outlive them.
std::unique_ptr<StateOps> make_state_ops(Stream& stream);

}  // namespace deq::cuda
