#include "train/commands/new_project.h"

#include <iostream>
#include <nlohmann/json.hpp>

#include "train/json_text.h"
#include "train/project.h"

namespace deq {

int run_new_project(const NewProjectRequest& request) {
  const std::filesystem::path package = package_folder(std::filesystem::read_symlink("/proc/self/exe"));
  const std::filesystem::path path = request.folder.has_filename() ? request.folder : request.folder.parent_path();
  make_project(path, package);
  const std::string folder = path.string(), name = path.filename().string();
  if (request.run.is_json) {
    nlohmann::ordered_json files = nlohmann::ordered_json::array();
    for (const ProjectFile& file : project_template()) files.push_back((path / file.name).string());
    std::cout << json_text({{"name", name}, {"files", files}, {"package", package.string()}});
    return 0;
  }
  std::cout << "made " << folder << ": model.h, train.cpp, CMakeLists.txt, README.md. Next:\n"
            << "  cmake -S " << folder << " -B " << folder << "/build && cmake --build " << folder << "/build\n"
            << "  " << folder << "/build/" << name << "\n";
  if (package.empty()) std::cout << "CMake has to be told where deq is installed: -DCMAKE_PREFIX_PATH=PREFIX\n";
  return 0;
}

}  // namespace deq
