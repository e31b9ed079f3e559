#pragma once

#include <memory>

#include "core/backend.h"

namespace deq {

/// The backend of `device`. Errors (RequestError): this build has none for it.
std::unique_ptr<Backend> make_backend(Device device);

}  // namespace deq
