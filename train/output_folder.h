#pragma once

#include <filesystem>
#include <string_view>

namespace deq {

/// Makes `folder` and its parents where they are missing, before there is work to lose.
/// Errors: RequestError naming the folder, the reason when it cannot be made or written to, and the `flag` to change.
void make_output_folder(const std::filesystem::path& folder, std::string_view flag = "--out");

/// Refuses a file for results, before there is work to lose: a folder, or one that cannot be made or replaced.
/// Errors: RequestError naming the file, the reason and the `flag` to change. An empty path is none and passes.
void check_output_file(const std::filesystem::path& file, std::string_view flag);

}  // namespace deq
