#include "train/checkpoint_override.h"

#include <algorithm>
#include <array>

#include "core/error.h"
#include "train/config_override.h"

namespace deq {

namespace {

constexpr std::array<std::string_view, 9> kSolve = {"solver.name",      "solver.mode",    "solver.max_steps",
                                                    "solver.tolerance", "solver.memory",  "solver.history",
                                                    "solver.patience",  "solver.damping", "solver.fallback"};
constexpr std::array<std::string_view, 4> kInference = {"solver.time_budget_ms", "solver.compaction",
                                                        "solver.warm_start", "model.inference_output"};
constexpr std::array<std::string_view, 5> kBackward = {"solver.backward", "solver.backward_max_steps",
                                                       "solver.backward_tolerance", "solver.phantom_damping",
                                                       "solver.guard_gain"};
constexpr std::array<std::string_view, 3> kCompute = {"compute.precision", "compute.deterministic",
                                                      "compute.convolution"};
constexpr std::array<std::string_view, 4> kSet = {"data.path", "data.bad_files", "data.threads", "data.seed"};
constexpr std::array<std::string_view, 2> kSetSize = {"data.train_size", "data.test_size"};

/// Outside the model's section: what its outputs and inputs are.
constexpr std::array<std::string_view, 6> kMeaning = {"data.name", "data.image",        "data.mean",
                                                      "data.std",  "data.ignore_label", "data.label_map"};
/// Inside it: what it has no parameters for.
constexpr std::array<std::string_view, 4> kMeaningless = {"model.name", "model.dropout", "model.bn_momentum",
                                                          "model.inference_output"};

bool holds(std::span<const std::string_view> names, std::string_view name) {
  return std::ranges::find(names, name) != names.end();
}

bool is_audit(CheckpointUse use) { return use == CheckpointUse::audit_set || use == CheckpointUse::audit_tensor; }

std::string_view command_of(CheckpointUse use) {
  switch (use) {
    case CheckpointUse::eval: return "deq eval";
    case CheckpointUse::predict_files: return "deq predict";
    case CheckpointUse::predict_tensor: return "deq predict --tensor";
    case CheckpointUse::audit_set: return "deq audit";
    case CheckpointUse::audit_tensor: return "deq audit --tensor";
  }
  return "?";
}

/// True where f is applied instead of solved for: in inference with a model of the pre-training phase.
bool is_unrolled(const LoadedModel& loaded, CheckpointUse use) {
  return !is_audit(use) && unrolled_steps_of(loaded.checkpoint) > 0;
}

/// The names, those of a section together: "compute.{precision,convolution}, model.inference_output".
std::string text_of(const std::vector<std::string_view>& names) {
  std::string text;
  for (auto from = names.begin(); from != names.end();) {
    const std::string_view section = find_config_key(*from)->section();
    const auto to =
        std::find_if(from, names.end(), [&](auto name) { return find_config_key(name)->section() != section; });
    text += concat(text.empty() ? "" : ", ", section, ".");
    if (to - from > 1) text += "{";
    for (auto name = from; name != to; ++name) text += concat(name == from ? "" : ",", find_config_key(*name)->leaf());
    if (to - from > 1) text += "}";
    from = to;
  }
  return text;
}

/// Why `key` is none of the settable ones.
std::string reason(const ConfigKey& key, const LoadedModel& loaded, CheckpointUse use) {
  const bool is_of_model = key.section() == "model" && !holds(kMeaningless, key.name);
  if (is_of_model || holds(kMeaning, key.name)) return "decides what the parameters of the checkpoint mean";
  if (is_unrolled(loaded, use) && (holds(kSolve, key.name) || holds(kInference, key.name)))
    return "does nothing: the checkpoint is one of pre-training, which applies f instead of solving";
  return concat("does nothing in ", command_of(use));
}

}  // namespace

std::vector<std::string_view> settable_keys(const LoadedModel& loaded, CheckpointUse use) {
  std::vector<std::string_view> out;
  const auto add = [&](std::span<const std::string_view> names) { out.insert(out.end(), names.begin(), names.end()); };
  add(kCompute);
  if (is_unrolled(loaded, use)) {
    out.emplace_back("train.unroll_steps");
  } else {
    add(kSolve);
    add(is_audit(use) ? std::span<const std::string_view>(kBackward) : kInference);
  }
  const bool is_eval = use == CheckpointUse::eval;
  if (is_eval || use == CheckpointUse::audit_set) add(kSet);
  if (is_eval) add(kSetSize);
  const bool is_sized = is_eval || use == CheckpointUse::predict_files;
  if (is_sized && loaded.model->is_segmentation()) out.emplace_back("data.eval_image");
  std::ranges::sort(out);
  return out;
}

GivenKeys override_checkpoint(LoadedModel& loaded, std::span<const std::string> assignments, CheckpointUse use) {
  GivenKeys given;
  if (assignments.empty()) return given;
  const std::vector<std::string_view> settable = settable_keys(loaded, use);
  Config config = loaded.model->config;
  for (const std::string& assignment : assignments) {
    const ConfigKey& key = overridden_key(assignment);
    require(holds(settable, key.name), "--set", "key '", key.name, "' ", reason(key, loaded, use), "; ",
            command_of(use), " can set ", text_of(settable));
    given.insert(override_key(config, assignment).name);
  }
  Config checked = config;
  checked.train = {};  // what nothing is trained with contradicts nothing
  check_config(checked, "--set");
  loaded.model->config = config;
  loaded.checkpoint.config = config;
  return given;
}

void require_unset(const GivenKeys& given, std::string_view key, std::string_view flag) {
  require(!given.contains(key), "--set", "key '", key, "' is what ", flag, " stands for; give one of the two");
}

}  // namespace deq
