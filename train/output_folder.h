#pragma once

#include <filesystem>

namespace deq {

/// Makes `folder` and its parents where they are missing, before there is work to lose.
/// Errors: RequestError naming the folder and the reason when it cannot be made or written to.
void make_output_folder(const std::filesystem::path& folder);

}  // namespace deq
