#include "train/commands/info.h"

#include <iostream>
#include <nlohmann/json.hpp>

#include "core/counted.h"
#include "core/error.h"
#include "train/build_info.h"
#include "train/checkpoint.h"
#include "train/json_text.h"
#include "train/make_backend.h"
#include "train/model.h"
#include "train/printable.h"

namespace deq {

namespace {

using Json = nlohmann::ordered_json;

Json machine_json() {
  const BuildInfo build = build_info();
  const MachineInfo machine = machine_info();
  Json devices = Json::array();
  devices.push_back({{"name", "cpu"},
                     {"model", machine.cpu},
                     {"threads", machine.threads},
                     {"memory_bytes", machine.memory_bytes},
                     {"features", machine.features}});
  for (const CudaDevice& gpu : usable_gpus())
    devices.push_back({{"name", name_of(Device{.kind = DeviceKind::cuda, .index = gpu.index})},
                       {"model", gpu.name},
                       {"compute_capability", gpu.compute_capability},
                       {"multiprocessors", gpu.multiprocessors},
                       {"memory_bytes", gpu.memory_bytes}});
  return {{"version", build.version},
          {"build",
           {{"type", build.build_type},
            {"compiler", build.compiler},
            {"sanitizer", build.sanitizer},
            {"onednn", build.has_onednn},
            {"cuda", build.has_cuda}}},
          {"devices", devices}};
}

void print_machine() {
  const BuildInfo build = build_info();
  const MachineInfo machine = machine_info();
  std::string features;
  for (const std::string& feature : machine.features) features += (features.empty() ? "" : " ") + feature;
  std::cout << "deq " << build.version << " (" << build.build_type << ", compiler " << build.compiler
            << (build.sanitizer.empty() ? "" : ", sanitizers ") << build.sanitizer << ")\n"
            << "options  oneDNN " << (build.has_onednn ? "yes" : "no") << ", CUDA " << (build.has_cuda ? "yes" : "no")
            << "\n"
            << "cpu      " << machine.cpu << ", " << machine.threads << " threads, " << machine.memory_bytes / (1 << 20)
            << " MiB\n"
            << "         " << features << "\n";
  const std::vector<CudaDevice> gpus = usable_gpus();
  if (gpus.empty()) std::cout << "no GPU   " << no_gpu_reason() << "\n";
  for (const CudaDevice& gpu : gpus)
    std::cout << "cuda:" << gpu.index << "   " << gpu.name << ", compute capability " << gpu.compute_capability << ", "
              << gpu.multiprocessors << " multiprocessors, " << gpu.memory_bytes / (1 << 20) << " MiB\n";
}

/// Parameters of one layer: the tensors whose names differ in the last part only.
struct Layer {
  std::string name;
  std::int64_t parameters = 0;
  std::vector<std::string> tensors;
};

std::vector<Layer> layers_of(const NamedTensors& tensors) {
  std::vector<Layer> layers;
  for (const auto& [name, tensor] : tensors) {
    const std::size_t dot = name.rfind('.');
    const std::string layer = dot == std::string::npos ? name : name.substr(0, dot);
    if (layers.empty() || layers.back().name != layer) layers.push_back({.name = layer, .tensors = {}});
    if (!is_running_statistic(name)) layers.back().parameters += tensor.shape().elements();
    layers.back().tensors.push_back(name);
  }
  return layers;
}

std::int64_t parameter_count(const std::vector<Layer>& layers) {
  std::int64_t count = 0;
  for (const Layer& layer : layers) count += layer.parameters;
  return count;
}

template <class T>
std::string joined(const std::vector<T>& values) {
  std::string out;
  for (const T& value : values) out += concat(out.empty() ? "" : ", ", value);
  return out;
}

std::string architecture_text(const Config& config) {
  const ModelConfig& model = config.model;
  return concat(model.name, ": ", model.architecture, ", ", model.task, ", ", counted(model.channels.size(), "branch"),
                " with ", joined(model.channels), " channels, expansion ", model.expansion, ", image ",
                config.data.image[0], "x", config.data.image[1], ", ", counted(model.classes, "class"), "; solver ",
                config.solver.name, ", at most ", counted(config.solver.max_steps, "step"), ", tolerance ",
                config.solver.tolerance, " ", config.solver.mode, "; convolutions ", config.compute.convolution);
}

Json layers_json(const std::vector<Layer>& layers, const NamedTensors& tensors) {
  Json out = Json::array();
  for (const Layer& layer : layers) {
    Json entries = Json::array();
    for (const std::string& name : layer.tensors) {
      const auto extents = tensors.at(name).shape().extents();
      entries.push_back({{"name", name},
                         {"shape", std::vector<std::int64_t>(extents.begin(), extents.end())},
                         {"dtype", name_of(tensors.at(name).dtype())},
                         {"trained", !is_running_statistic(name)}});
    }
    out.push_back({{"name", layer.name}, {"parameters", layer.parameters}, {"tensors", entries}});
  }
  return out;
}

Json training_json(const TrainingRecord& training) {
  return {{"step", training.step},
          {"epoch", training.epoch},
          {"phase", training.phase},
          {"seconds", training.seconds},
          {"train_loss", training.train_loss},
          {"test_loss", training.test_loss},
          {"test_accuracy", training.test_accuracy}};
}

/// `manifest` is empty for a model that was never trained.
void print_checkpoint(const std::string& path, const Checkpoint& checkpoint, std::string_view manifest) {
  const std::vector<Layer> layers = layers_of(checkpoint.model);
  std::cout << printable(path) << "\n"
            << printable(architecture_text(checkpoint.config)) << "\n\nlayer, parameters, tensors\n";
  for (const Layer& layer : layers) {
    std::cout << "  " << printable(layer.name) << "  " << layer.parameters << "  ";
    for (const std::string& name : layer.tensors)
      std::cout << " " << printable(name.substr(name.rfind('.') + 1)) << checkpoint.model.at(name).shape();
    std::cout << "\n";
  }
  const TrainingRecord& training = checkpoint.training;
  std::cout << "\n" << parameter_count(layers) << " parameters\n";
  if (manifest.empty()) return;
  if (training.step == 0)
    std::cout << "trained  no step: these weights were imported, or saved before the first\n";
  else
    std::cout << "trained  " << counted(training.step, "step") << ", epoch " << training.epoch << ", phase "
              << printable(training.phase) << ", " << training.seconds << " s; test accuracy " << training.test_accuracy
              << ", loss " << training.test_loss << "\n";
  if (const std::string& start = checkpoint.config.train.initial_weights; !start.empty())
    std::cout << "began    from the weights of " << printable(start) << "\n";
  std::cout << "manifest " << manifest << "\n";
}

/// The model that a configuration makes, with zeros for weights.
Checkpoint untrained(const std::filesystem::path& config) {
  Checkpoint out;
  out.config = load_config(config);
  out.model = Model(out.config, ParameterStart::zeros).tensors();
  return out;
}

/// Loading has checked the manifest where there is one, and the state where that is there.
std::string_view manifest_state(const std::filesystem::path& checkpoint) {
  if (!has_manifest(checkpoint)) return "none";
  const bool lacks_state =
      std::filesystem::is_directory(checkpoint) && !std::filesystem::exists(checkpoint / "state.safetensors");
  return lacks_state ? "ok, but state.safetensors is missing: nothing to train on from" : "ok";
}

}  // namespace

int run_info(const InfoRequest& request) {
  if (request.checkpoint.empty()) {
    if (request.run.is_json)
      std::cout << json_text(machine_json());
    else
      print_machine();
    return 0;
  }
  check_readable(request.checkpoint);
  const bool is_config = request.checkpoint.extension() == ".toml";
  const Checkpoint checkpoint = is_config ? untrained(request.checkpoint) : load_checkpoint(request.checkpoint);
  const std::string_view manifest = is_config ? "" : manifest_state(request.checkpoint);
  const std::string path = request.checkpoint.string();
  if (!request.run.is_json) {
    print_checkpoint(path, checkpoint, manifest);
    return 0;
  }
  const std::vector<Layer> layers = layers_of(checkpoint.model);
  Json json = {{"file", path},
               {"architecture", architecture_text(checkpoint.config)},
               {"parameters", parameter_count(layers)},
               {"layers", layers_json(layers, checkpoint.model)},
               {"config", write_config(checkpoint.config)}};
  if (!is_config) {
    json["class_names"] = checkpoint.class_names;
    json["training"] = training_json(checkpoint.training);
    json["manifest"] = manifest;
  }
  std::cout << json_text(json);
  return 0;
}

}  // namespace deq
