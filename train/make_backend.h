#pragma once

#include <memory>

#include "core/backend.h"
#include "train/config.h"

namespace deq {

/// The backend of `device`, which computes as `compute` says. Errors (RequestError): this build has none for it.
std::unique_ptr<Backend> make_backend(Device device, const ComputeConfig& compute = {});

}  // namespace deq
