#include "train/checkpoint.h"

#include <cstring>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/error.h"
#include "data/file.h"
#include "data/safetensors.h"
#include "train/checkpoint_folder.h"
#include "train/durable_file.h"

namespace deq {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view kFormat = "deq-model-1";

/// CRC-32 over names, shapes and bytes of the tensors and over the configuration: protects a model.safetensors that
/// has lost its manifest.
std::uint32_t contents_crc(const SafetensorsFile& file) {
  std::uint32_t crc = 0;
  const auto add = [&](std::string_view text) { crc = crc32_of(std::as_bytes(std::span(text)), crc); };
  for (const auto& [key, value] : file.metadata)
    if (key != "crc32") add(concat(key, '\n', value, '\n'));
  for (const auto& [name, tensor] : file.tensors) {
    add(concat(name, tensor.type()));
    crc = crc32_of({tensor.raw(), tensor.bytes()}, crc);
  }
  return crc;
}

std::string text_of(const TrainingRecord& record) {
  const nlohmann::ordered_json json = {{"step", record.step},
                                       {"epoch", record.epoch},
                                       {"phase", record.phase},
                                       {"seconds", record.seconds},
                                       {"train_loss", record.train_loss},
                                       {"test_loss", record.test_loss},
                                       {"test_accuracy", record.test_accuracy}};
  return json.dump();
}

TrainingRecord training_of(const std::string& text) {
  const auto json = nlohmann::json::parse(text);
  const auto number = [&](const char* key) {
    return json.at(key).is_number() ? json.at(key).get<double>() : std::numeric_limits<double>::quiet_NaN();
  };
  return {.step = json.at("step").get<std::int64_t>(),
          .epoch = json.at("epoch").get<std::int64_t>(),
          .phase = json.at("phase").get<std::string>(),
          .seconds = number("seconds"),
          .train_loss = number("train_loss"),
          .test_loss = number("test_loss"),
          .test_accuracy = number("test_accuracy")};
}

/// Class names as a JSON array. Names of folders may be any bytes: one that is not UTF-8, which no JSON string can be,
/// is the array of its bytes.
std::string text_of(const std::vector<std::string>& class_names) {
  nlohmann::json all = nlohmann::json::array();
  for (const std::string& name : class_names) {
    nlohmann::json own = name;
    try {
      (void)own.dump();
    } catch (const nlohmann::json::type_error&) {
      own = std::vector<std::uint8_t>(name.begin(), name.end());
    }
    all.push_back(std::move(own));
  }
  return all.dump();
}

std::vector<std::string> class_names_of(const std::string& text) {
  std::vector<std::string> out;
  for (const nlohmann::json& name : nlohmann::json::parse(text)) {
    if (name.is_string()) {
      out.push_back(name.get<std::string>());
    } else {
      const auto bytes = name.get<std::vector<std::uint8_t>>();
      out.emplace_back(bytes.begin(), bytes.end());
    }
  }
  return out;
}

const std::string& entry(const SafetensorsFile& file, const std::string& key, const std::string& place) {
  const auto found = file.metadata.find(key);
  require(found != file.metadata.end(), place, "not a checkpoint of deq: its metadata has no '", key, "'");
  return found->second;
}

SafetensorsFile model_file(const Checkpoint& checkpoint) {
  SafetensorsFile file{.tensors = checkpoint.model, .metadata = {}};
  file.metadata = {{"format", std::string(kFormat)},
                   {"deq_version", DEQ_VERSION},
                   {"config", write_config(checkpoint.config)},
                   {"class_names", text_of(checkpoint.class_names)},
                   {"training", text_of(checkpoint.training)}};
  file.metadata["crc32"] = std::to_string(contents_crc(file));
  return file;
}

void read_model(Checkpoint& checkpoint, SafetensorsFile file, const std::string& place) {
  require(entry(file, "format", place) == kFormat, place, "format is '", entry(file, "format", place), "', expected '",
          kFormat, "'");
  require(entry(file, "crc32", place) == std::to_string(contents_crc(file)), place,
          "damaged: the contents do not have the recorded CRC-32");
  checkpoint.config = parse_config(entry(file, "config", place), place + " (config)");
  try {
    checkpoint.class_names = class_names_of(entry(file, "class_names", place));
    checkpoint.training = training_of(entry(file, "training", place));
  } catch (const nlohmann::json::exception& failure) {
    throw RequestError(concat(place, ": unreadable metadata: ", failure.what()));
  }
  checkpoint.model = std::move(file.tensors);
}

/// A checkpoint as it was given.
struct Place {
  fs::path model;            ///< its model file
  fs::path folder = {};      ///< whose manifest tells of it; empty: there is none
  bool is_one_file = false;  ///< the model file was given, not the folder
};

/// Where checkpoints lie that a folder without one may have been meant for: those of a run, also of its folder of
/// checkpoints. Empty where there are none.
std::string hint(const fs::path& folder) {
  std::string text;
  for (const fs::path& parent : {folder / "checkpoints", folder})
    for (const char* name : {"best", "last"})
      if (fs::exists(parent / name / kModelFile))
        text += concat(text.empty() ? "; did you mean " : " or ", (parent / name).string());
  return text.empty() ? text : text + "?";
}

Place place_of(const fs::path& path) {
  if (fs::is_regular_file(path)) {
    const fs::path folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
    const bool is_listed = path.filename() == kModelFile && fs::exists(folder / kManifestFile);
    return {.model = path, .folder = is_listed ? folder : fs::path(), .is_one_file = true};
  }
  const fs::path folder = find_complete(path);
  require(!folder.empty(), path.string(), "no such checkpoint");
  require(fs::exists(folder / kModelFile), path.string(), "not a checkpoint: the folder has no ", kModelFile,
          hint(folder));
  return {.model = folder / kModelFile, .folder = fs::exists(folder / kManifestFile) ? folder : fs::path()};
}

/// The files that are read. Inference needs the model alone; a state that a folder has must be whole all the same.
std::vector<std::string_view> files_of(const Place& place, CheckpointParts parts) {
  if (parts == CheckpointParts::all) return kCheckpointFiles;
  const bool has_state = !place.is_one_file && fs::exists(place.folder / kStateFile);
  return has_state ? kCheckpointFiles : std::vector{kModelFile};
}

void append_list(std::string& text, std::string_view title, const std::vector<std::string>& names) {
  if (names.empty()) return;
  text += concat(text.empty() ? "" : "; ", names.size(), " ", title, ":");
  for (std::size_t i = 0; i < names.size(); ++i) text += concat(i ? ", " : " ", names[i]);
}

}  // namespace

void save_checkpoint(const fs::path& folder, const Checkpoint& checkpoint, const SaveOptions& options) {
  const SafetensorsPieces model = lay_out_safetensors(model_file(checkpoint));
  const SafetensorsPieces state = lay_out_safetensors({.tensors = checkpoint.state, .metadata = checkpoint.counters});
  const FolderPieces files = {{std::string(kModelFile), model.all()}, {std::string(kStateFile), state.all()}};
  replace_folder(folder, files, options);
}

Checkpoint load_checkpoint(const fs::path& path, CheckpointParts parts) {
  Checkpoint checkpoint;
  const Place place = place_of(path);
  const std::string model_name = place.model.string();
  if (place.folder.empty()) {
    require(parts == CheckpointParts::model, model_name, "has no ", kManifestFile, " and ", kStateFile,
            " beside it to train on from");
    read_model(checkpoint, read_safetensors(place.model), model_name);
    return checkpoint;
  }
  const FolderContents files = read_folder(place.folder, files_of(place, parts));
  read_model(checkpoint, decode_safetensors(files.find(kModelFile)->second, model_name), model_name);
  if (parts == CheckpointParts::all) {
    SafetensorsFile state = decode_safetensors(files.find(kStateFile)->second, (place.folder / kStateFile).string());
    checkpoint.state = std::move(state.tensors);
    checkpoint.counters = std::move(state.metadata);
  }
  return checkpoint;
}

bool has_checkpoint(const fs::path& folder) {
  const fs::path found = find_complete(folder);
  return !found.empty() && fs::exists(found / kModelFile);
}

bool has_manifest(const fs::path& path) { return !place_of(path).folder.empty(); }

bool is_checkpoint_file(std::string_view name) {
  return name == kModelFile || name == kStateFile || name == kManifestFile;
}

void copy_tensors(const NamedTensors& from, const NamedTensors& into, std::string_view place) {
  std::vector<std::string> missing;
  std::vector<std::string> surplus;
  std::vector<std::string> misshapen;
  for (const auto& [name, tensor] : into) {
    const auto found = from.find(name);
    if (found == from.end())
      missing.push_back(name);
    else if (found->second.type() != tensor.type())
      misshapen.push_back(concat(name, " (", found->second.type(), ", the model has ", tensor.type(), ")"));
  }
  for (const auto& [name, tensor] : from)
    if (!into.contains(name)) surplus.push_back(name);
  std::string text;
  append_list(text, "missing", missing);
  append_list(text, "surplus", surplus);
  append_list(text, "misshapen", misshapen);
  require(text.empty(), place, "the tensors are not those of the configured model: ", text);
  for (const auto& [name, tensor] : into) {
    Tensor target = tensor;
    const Tensor& source = from.find(name)->second;
    if (target.bytes() > 0) std::memcpy(target.raw(), source.raw(), target.bytes());
  }
}

bool is_running_statistic(std::string_view tensor_name) {
  const std::string_view leaf = tensor_name.substr(tensor_name.rfind('.') + 1);
  return leaf == "running_mean" || leaf == "running_var" || leaf == "num_batches_tracked";
}

}  // namespace deq
