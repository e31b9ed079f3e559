#include "train/commands/import.h"

#include <iostream>
#include <nlohmann/json.hpp>

#include "core/counted.h"
#include "core/error.h"
#include "data/safetensors.h"
#include "train/import.h"
#include "train/json_text.h"
#include "train/message_line.h"
#include "train/output_folder.h"

namespace deq {
namespace {

/// True for a checkpoint of deq with nothing beside it, and for an empty folder.
bool is_replaceable(const std::filesystem::path& folder) {
  if (!std::filesystem::is_directory(folder)) return false;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    if (!is_checkpoint_file(entry.path().filename().string())) return false;
  return std::filesystem::is_empty(folder) || (has_checkpoint(folder) && has_manifest(folder));
}

/// Replacing a checkpoint is what was asked for; replacing anything else is not, such as somebody's folder with a
/// model.safetensors and other files.
void check_out(const std::filesystem::path& out) {
  require(!std::filesystem::exists(out) || is_replaceable(out), out.string(),
          "is there already and is not a checkpoint of deq alone; choose another --out");
  make_output_folder(out.has_parent_path() ? out.parent_path() : ".");
}

}  // namespace

int run_import(const ImportRequest& request) {
  const Config config = load_config(request.config);
  const std::string place = request.weights.string();
  const ImportedModel imported = import_mdeq(config, read_safetensors(request.weights).tensors, place);
  check_out(request.out);
  save_checkpoint(request.out, imported.checkpoint);
  for (const std::string& note : imported.notes) std::cerr << "deq: " << message_line(note) << "\n";
  std::int64_t parameters = 0;
  for (const auto& [name, tensor] : imported.checkpoint.model)
    if (!is_running_statistic(name)) parameters += tensor.shape().elements();
  if (request.run.is_json) {
    const nlohmann::ordered_json json = {{"checkpoint", request.out.string()},
                                         {"tensors", imported.checkpoint.model.size()},
                                         {"parameters", parameters},
                                         {"ignored", imported.ignored},
                                         {"notes", imported.notes}};
    std::cout << json_text(json);
  } else {
    std::cout << request.out.string() << ": " << counted(imported.checkpoint.model.size(), "tensor") << ", "
              << parameters << " parameters; " << counted(imported.ignored.size(), "tensor")
              << " of the file left out\n";
  }
  return 0;
}

}  // namespace deq
