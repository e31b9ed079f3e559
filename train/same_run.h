#pragma once

#include <filesystem>

#include "train/config.h"

namespace deq {

/// Refuses to go on with the run in `out`, which was configured as `saved`, as `wanted`: a run keeps the model, the
/// data, the order of the batches and the weights that it began with, while rates and limits may be changed.
/// Errors: RequestError naming the first key that differs, both values and the way out.
void require_same_run(const Config& saved, const Config& wanted, const std::filesystem::path& out);

}  // namespace deq
