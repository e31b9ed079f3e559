#pragma once

#include <filesystem>
#include <span>
#include <string_view>

namespace deq {

/// A file of the project that `deq new` makes: train/project_template, with @NAME@ for the project's name and @PACKAGE@
/// for the folder of deqConfig.cmake.
struct ProjectFile {
  std::string_view name;
  std::string_view text;
};
std::span<const ProjectFile> project_template();

/// Folder of deqConfig.cmake that belongs to a program: of its build tree, or of the prefix it is installed in.
/// Empty: the program lies in neither.
std::filesystem::path package_folder(const std::filesystem::path& program);

/// Makes `folder` with the project's files; its last part is the project's name.
/// Errors: RequestError when the folder exists or its name is no name of a CMake target and a C++ program.
void make_project(const std::filesystem::path& folder, const std::filesystem::path& package);

}  // namespace deq
