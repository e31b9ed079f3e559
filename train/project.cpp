#include "train/project.h"

#include <algorithm>
#include <cctype>
#include <string>

#include "core/error.h"
#include "data/file.h"
#include "train/output_folder.h"

namespace deq {
namespace {

void check_name(const std::string& name) {
  const auto is_allowed = [](unsigned char c) { return std::isalnum(c) != 0 || c == '_' || c == '-'; };
  const bool is_right = !name.empty() && std::isalpha(static_cast<unsigned char>(name.front())) != 0 &&
                        std::ranges::all_of(name, is_allowed);
  require(is_right, "new", "'", name, "' is no name for a project: a letter, then letters, digits, '_' and '-'");
  constexpr std::string_view kTaken[] = {"all",     "clean",      "deq",           "edit_cache", "help",
                                         "install", "preinstall", "rebuild_cache", "test",       "ALL_BUILD",
                                         "INSTALL", "ZERO_CHECK", "CMakeFiles"};
  require(std::ranges::find(kTaken, name) == std::end(kTaken), "new", "'", name,
          "' is taken by CMake or by deq itself");
}

std::string replaced(std::string text, std::string_view what, const std::string& with) {
  for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + with.size()))
    text.replace(at, what.size(), with);
  return text;
}

}  // namespace

std::filesystem::path package_folder(const std::filesystem::path& program) {
  const std::filesystem::path beside = program.parent_path();
  for (const std::filesystem::path& folder : {beside / "package", beside.parent_path() / DEQ_PACKAGE_FOLDER})
    if (std::filesystem::exists(folder / "deqConfig.cmake")) return folder;
  return {};
}

void make_project(const std::filesystem::path& folder, const std::filesystem::path& package) {
  const std::string name = folder.filename().string();
  check_name(name);
  require(!std::filesystem::exists(folder), "new", "'", folder.string(), "' exists already; choose another name");
  make_output_folder(folder, "NAME");
  try {
    for (const ProjectFile& file : project_template()) {
      const std::string text =
          replaced(replaced(std::string(file.text), "@NAME@", name), "@PACKAGE@", package.string());
      write_file(folder / file.name, std::as_bytes(std::span(text)));
    }
  } catch (const Error&) {
    std::error_code ignored;
    std::filesystem::remove_all(folder, ignored);
    throw;
  }
}

}  // namespace deq
