#include <algorithm>

#include "core/counted.h"
#include "core/error.h"
#include "train/config.h"
#include "train/config_keys.h"
#include "train/nearest.h"

namespace deq {

namespace {

void check_branches(const ModelConfig& model, std::string_view place) {
  const std::size_t branches = model.channels.size();
  require(branches >= 1, place, "key 'model.channels' is empty but needs one entry a branch");
  const auto has_one_a_branch = [&](const std::vector<int>& list, std::string_view key) {
    require(list.size() == branches, place, "key '", key, "' has ", counted(list.size(), "entry"),
            " but 'model.channels' has ", counted(branches, "branch"));
  };
  if (model.task == "classification") has_one_a_branch(model.head_channels, "model.head_channels");
  has_one_a_branch(model.num_blocks, "model.num_blocks");
  has_one_a_branch(model.big_kernels, "model.big_kernels");
  require(branches == 1 || model.num_groups % 2 == 0, place, "key 'model.num_groups' is ", model.num_groups,
          " but must be even: the normalisation after fusing branches has half as many groups");
  for (const int channels : model.channels)
    require(channels % model.num_groups == 0, place, "key 'model.channels' has a branch of ", channels,
            " channels, which 'model.num_groups' = ", model.num_groups, " does not divide");
}

/// A range [low, high] of a random choice.
void check_range(const std::vector<double>& range, std::string_view key, std::string_view place) {
  require(range.size() == 2 && range[0] <= range[1], place, "key '", key,
          "' must be [low, high] with low not above high");
}

void check_segmentation(const DataConfig& data, const ModelConfig& model, std::string_view place) {
  require(data.class_weights.empty() || std::ssize(data.class_weights) == model.classes, place,
          "key 'data.class_weights' has ", counted(data.class_weights.size(), "entry"), " but 'model.classes' is ",
          model.classes);
  const auto is_positive = [](double weight) { return weight > 0; };
  require(data.class_weights.empty() || std::ranges::any_of(data.class_weights, is_positive), place,
          "key 'data.class_weights' holds zeros only: nothing would be trained");
  require(model.classes <= 255, place, "key 'model.classes' is ", model.classes,
          " but label maps are written with 8 bits: at most 255 classes");
  for (const int label : data.label_map)
    require(label < model.classes || label == data.ignore_label, place, "key 'data.label_map' names class ", label,
            ", expected 0 to ", model.classes - 1, ", or -1 or ", data.ignore_label, " for what does not count");
}

void check_data(const DataConfig& data, const ModelConfig& model, std::string_view place) {
  require(data.image.size() == 2, place, "key 'data.image' has ", counted(data.image.size(), "entry"),
          ", expected [height, width]");
  require(data.eval_image.empty() || data.eval_image.size() == 2, place, "key 'data.eval_image' has ",
          counted(data.eval_image.size(), "entry"), ", expected [height, width] or none");
  check_range(data.scale, "data.scale", place);
  check_range(data.crop_area, "data.crop_area", place);
  if (model.task == "segmentation") check_segmentation(data, model, place);
  const std::size_t halvings = static_cast<std::size_t>(model.downsample_times) + model.channels.size() - 1;
  require(halvings < 16, place, "'model.downsample_times' and 'model.channels' together halve the image ", halvings,
          " times, expected fewer than 16");
  const auto check_extents = [&](const std::vector<int>& extents, std::string_view key) {
    const int stem = 1 << model.downsample_times, branches = 1 << (model.channels.size() - 1);
    for (const int extent : extents) {
      const int of_branch_0 = (extent + stem - 1) / stem;  // the stem rounds up
      require(of_branch_0 % branches == 0, place, "key '", key, "' has an extent of ", extent, " pixels, ", of_branch_0,
              " after ", model.downsample_times, " downsamplings, which must divide by ", branches, " for ",
              counted(model.channels.size(), "branch"));
    }
  };
  check_extents(data.image, "data.image");
  check_extents(data.eval_image, "data.eval_image");
  require(data.mean.size() == 3, place, "key 'data.mean' has ", counted(data.mean.size(), "entry"),
          ", expected 3 (R, G, B)");
  require(data.std.size() == 3, place, "key 'data.std' has ", counted(data.std.size(), "entry"),
          ", expected 3 (R, G, B)");
  const bool is_cifar = data.name == "cifar10";
  if (is_cifar || data.name == "shapes")
    require(model.classes == 10, place, "key 'model.classes' is ", model.classes, " but ", data.name,
            " has 10 classes");
  require(!is_cifar || (data.image[0] == 32 && data.image[1] == 32), place,
          "key 'data.image' must be [32, 32] for cifar10");
}

/// What the solver itself would refuse, before the run has a folder.
void check_solver(const SolverConfig& solver, std::string_view place) {
  if (solver.history != "bfloat16") return;
  require(
      solver.name != "broyden-lowrank", place,
      "key 'solver.history' is 'bfloat16', in which broyden keeps its steps; 'solver.name' = 'broyden-lowrank' keeps "
      "pairs, which need 'float32'");
  require(solver.name != "broyden" || solver.memory == 0 || solver.memory >= solver.max_steps, place,
          "key 'solver.history' is 'bfloat16', but 'solver.memory' = ", solver.memory, " is less than the ",
          solver.max_steps, " steps of a solve: set it to 0 to keep all, or the history to 'float32'");
}

}  // namespace

void check_config(const Config& config, std::string_view place) {
  check_branches(config.model, place);
  check_data(config.data, config.model, place);
  check_solver(config.solver, place);
  const TrainConfig& train = config.train;
  require(train.epochs > 0 || train.total_steps > 0, place,
          "keys 'train.epochs' and 'train.total_steps' are both 0: nothing would be trained");
  require(is_estimator_name(train.estimator), place, "key 'train.estimator' is '", train.estimator,
          "', expected one of ", estimator_names());
  require(train.correction_states <= config.solver.max_steps, place, "key 'train.correction_states' is ",
          train.correction_states,
          " but a solve has at most 'solver.max_steps' = ", counted(config.solver.max_steps, "step"),
          " to take them from");
  require(train.jacobian_target_radius == 0 || train.spectral_radius_steps > 0, place,
          "key 'train.jacobian_target_radius' is ", train.jacobian_target_radius,
          " but needs 'train.spectral_radius_steps' above 0: without it the radius is not measured");
  require(config.optimizer.betas.size() == 2, place, "key 'optimizer.betas' has ",
          counted(config.optimizer.betas.size(), "entry"), ", expected 2");
  require(!config.optimizer.nesterov || config.optimizer.momentum > 0, place,
          "key 'optimizer.nesterov' needs 'optimizer.momentum' above 0");
  const bool has_least = config.schedule.name == "cosine";
  require(!has_least || config.schedule.min_lr <= config.optimizer.lr, place, "key 'schedule.min_lr' is ",
          config.schedule.min_lr, " but must not exceed 'optimizer.lr' = ", config.optimizer.lr);
}

}  // namespace deq
