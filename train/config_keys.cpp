#include "train/config_keys.h"

#include <algorithm>
#include <array>

#include "train/nearest.h"

namespace deq {

namespace {

constexpr double kNoLimit = std::numeric_limits<double>::infinity();
constexpr double kLargestInt = std::numeric_limits<int>::max();

/// Accessor of Config::*section.*member as a plain function, so that the table below is one line a key.
template <auto Section, auto Member>
Field at(Config& config) {
  return &(config.*Section.*Member);
}

constexpr auto kModel = &Config::model;
constexpr auto kData = &Config::data;
constexpr auto kSolver = &Config::solver;
constexpr auto kTrain = &Config::train;
constexpr auto kOptimizer = &Config::optimizer;
constexpr auto kSchedule = &Config::schedule;
constexpr auto kCompute = &Config::compute;

ConfigKey text(std::string_view name, Field (*field)(Config&), std::vector<std::string_view> choices = {}) {
  return {.name = name, .field = field, .choices = std::move(choices)};
}
ConfigKey flag(std::string_view name, Field (*field)(Config&)) { return {.name = name, .field = field}; }
/// A number, or a list of numbers, within [minimum, maximum].
ConfigKey number(std::string_view name, Field (*field)(Config&), double minimum, double maximum = kLargestInt) {
  return {.name = name, .field = field, .minimum = minimum, .maximum = maximum};
}
/// A number above `bound`.
ConfigKey above(std::string_view name, Field (*field)(Config&), double bound, double maximum = kNoLimit) {
  return {.name = name, .field = field, .minimum = bound, .maximum = maximum, .excludes_minimum = true};
}

void append_model_keys(std::vector<ConfigKey>& keys) {
  using M = ModelConfig;
  keys.push_back(text("model.name", at<kModel, &M::name>));
  keys.push_back(text("model.architecture", at<kModel, &M::architecture>, {"mdeq"}));
  keys.push_back(text("model.task", at<kModel, &M::task>, {"classification", "segmentation"}));
  keys.push_back(number("model.channels", at<kModel, &M::channels>, 1, 65536));
  keys.push_back(number("model.head_channels", at<kModel, &M::head_channels>, 1, 65536));
  keys.push_back(number("model.final_channels", at<kModel, &M::final_channels>, 1, 65536));
  keys.push_back(number("model.expansion", at<kModel, &M::expansion>, 1, 64));
  keys.push_back(number("model.downsample_times", at<kModel, &M::downsample_times>, 0, 16));
  keys.push_back(number("model.num_blocks", at<kModel, &M::num_blocks>, 1, 64));
  keys.push_back(number("model.big_kernels", at<kModel, &M::big_kernels>, 0, 2));
  keys.push_back(number("model.num_groups", at<kModel, &M::num_groups>, 1, 4096));
  keys.push_back(number("model.dropout", at<kModel, &M::dropout>, 0, 0.99));
  keys.push_back(flag("model.weight_norm", at<kModel, &M::weight_norm>));
  keys.push_back(flag("model.post_gn_affine", at<kModel, &M::post_gn_affine>));
  keys.push_back(flag("model.block_gn_affine", at<kModel, &M::block_gn_affine>));
  keys.push_back(flag("model.fuse_gn_affine", at<kModel, &M::fuse_gn_affine>));
  keys.push_back(number("model.classes", at<kModel, &M::classes>, 2, 1000000));
  keys.push_back(above("model.bn_momentum", at<kModel, &M::bn_momentum>, 0, 1));
  keys.push_back(text("model.inference_output", at<kModel, &M::inference_output>, {"iterate", "applied"}));
}

void append_data_keys(std::vector<ConfigKey>& keys) {
  using D = DataConfig;
  keys.push_back(
      text("data.name", at<kData, &D::name>,
           {"cifar10", "digits", "folder", "shapes", "imagenet", "shapes-seg", "segmentation_folder", "cityscapes"}));
  keys.push_back(text("data.path", at<kData, &D::path>));
  keys.push_back(number("data.image", at<kData, &D::image>, 1, 65536));
  keys.push_back(number("data.eval_image", at<kData, &D::eval_image>, 1, 65536));
  keys.push_back(flag("data.augment", at<kData, &D::augment>));
  keys.push_back(above("data.scale", at<kData, &D::scale>, 0, 16));
  keys.push_back(above("data.crop_area", at<kData, &D::crop_area>, 0, 1));
  keys.push_back(text("data.bad_files", at<kData, &D::bad_files>, {"skip", "error"}));
  keys.push_back(number("data.class_weights", at<kData, &D::class_weights>, 0, 1e9));
  keys.push_back(number("data.ignore_label", at<kData, &D::ignore_label>, 0, 65535));
  keys.push_back(number("data.label_map", at<kData, &D::label_map>, -1, 65535));
  keys.push_back(number("data.train_size", at<kData, &D::train_size>, 0));
  keys.push_back(number("data.test_size", at<kData, &D::test_size>, 0));
  keys.push_back(number("data.mean", at<kData, &D::mean>, -1000, 1000));
  keys.push_back(above("data.std", at<kData, &D::std>, 0, 1000));
  keys.push_back(number("data.threads", at<kData, &D::threads>, 1, 1024));
  keys.push_back(number("data.seed", at<kData, &D::seed>, 0, kNoLimit));
}

void append_solver_keys(std::vector<ConfigKey>& keys) {
  using S = SolverConfig;
  keys.push_back(text("solver.name", at<kSolver, &S::name>,
                      {"broyden", "broyden-lowrank", "anderson", "picard", "adjoint-broyden", "newton-krylov"}));
  keys.push_back(text("solver.mode", at<kSolver, &S::mode>, {"rel", "abs"}));
  keys.push_back(number("solver.max_steps", at<kSolver, &S::max_steps>, 1, 100000));
  keys.push_back(number("solver.tolerance", at<kSolver, &S::tolerance>, 0, kNoLimit));
  keys.push_back(number("solver.memory", at<kSolver, &S::memory>, 0, 100000));
  keys.push_back(text("solver.history", at<kSolver, &S::history>, {"float32", "bfloat16"}));
  keys.push_back(number("solver.patience", at<kSolver, &S::patience>, 0, 100000));
  keys.push_back(above("solver.damping", at<kSolver, &S::damping>, 0, 1));
  keys.push_back(number("solver.backward_max_steps", at<kSolver, &S::backward_max_steps>, 1, 100000));
  keys.push_back(number("solver.backward_tolerance", at<kSolver, &S::backward_tolerance>, 0, kNoLimit));
  keys.push_back(number("solver.time_budget_ms", at<kSolver, &S::time_budget_ms>, 0, kNoLimit));
  keys.push_back(flag("solver.compaction", at<kSolver, &S::compaction>));
  keys.push_back(flag("solver.warm_start", at<kSolver, &S::warm_start>));
  keys.push_back(text("solver.backward", at<kSolver, &S::backward>,
                      {"broyden", "broyden-lowrank", "anderson", "picard", "gmres", "bicgstab"}));
  keys.push_back(above("solver.phantom_damping", at<kSolver, &S::phantom_damping>, 0, 1));
  keys.push_back(text("solver.fallback", at<kSolver, &S::fallback>));
  keys.push_back(above("solver.guard_gain", at<kSolver, &S::guard_gain>, 0));
}

void append_train_keys(std::vector<ConfigKey>& keys) {
  using T = TrainConfig;
  keys.push_back(number("train.batch_size", at<kTrain, &T::batch_size>, 1, 1 << 20));
  keys.push_back(number("train.eval_batch_size", at<kTrain, &T::eval_batch_size>, 0, 1 << 20));
  keys.push_back(number("train.epochs", at<kTrain, &T::epochs>, 0));
  keys.push_back(number("train.total_steps", at<kTrain, &T::total_steps>, 0));
  keys.push_back(number("train.pretrain_steps", at<kTrain, &T::pretrain_steps>, 0));
  keys.push_back(number("train.unroll_steps", at<kTrain, &T::unroll_steps>, 1, 1000));
  keys.push_back(text("train.estimator", at<kTrain, &T::estimator>));
  keys.push_back(text("train.start", at<kTrain, &T::start>, {"zeros", "gaussian", "mixed"}));
  keys.push_back(number("train.correction_states", at<kTrain, &T::correction_states>, 1, 1000));
  keys.push_back(
      text("train.correction_weights", at<kTrain, &T::correction_weights>, {"geometric", "linear", "constant"}));
  keys.push_back(above("train.correction_decay", at<kTrain, &T::correction_decay>, 0, 1));
  keys.push_back(number("train.eval_every", at<kTrain, &T::eval_every>, 0));
  keys.push_back(number("train.eval_limit", at<kTrain, &T::eval_limit>, 0));
  keys.push_back(number("train.log_every", at<kTrain, &T::log_every>, 1));
  keys.push_back(number("train.checkpoint_every", at<kTrain, &T::checkpoint_every>, 0));
  keys.push_back(flag("train.recompute", at<kTrain, &T::recompute>));
  keys.push_back(number("train.clip_norm", at<kTrain, &T::clip_norm>, 0, kNoLimit));
  keys.push_back(number("train.seed", at<kTrain, &T::seed>, 0, kNoLimit));
  keys.push_back(text("train.initial_weights", at<kTrain, &T::initial_weights>));
  keys.push_back(number("train.jacobian_weight", at<kTrain, &T::jacobian_weight>, 0, kNoLimit));
  keys.push_back(number("train.jacobian_pretrain_weight", at<kTrain, &T::jacobian_pretrain_weight>, 0, kNoLimit));
  keys.push_back(number("train.jacobian_frequency", at<kTrain, &T::jacobian_frequency>, 0, 1));
  keys.push_back(number("train.jacobian_increment_every", at<kTrain, &T::jacobian_increment_every>, 0));
  keys.push_back(number("train.jacobian_stop_epoch", at<kTrain, &T::jacobian_stop_epoch>, 0));
  keys.push_back(number("train.random_max_steps_delta", at<kTrain, &T::random_max_steps_delta>, 0, 1000));
  keys.push_back(number("train.jacobian_probes", at<kTrain, &T::jacobian_probes>, 1, 1000));
  keys.push_back(number("train.jacobian_target_radius", at<kTrain, &T::jacobian_target_radius>, 0, kNoLimit));
  keys.push_back(number("train.spectral_radius_steps", at<kTrain, &T::spectral_radius_steps>, 0, 1000));
}

void append_optimizer_keys(std::vector<ConfigKey>& keys) {
  using O = OptimizerConfig;
  keys.push_back(text("optimizer.name", at<kOptimizer, &O::name>, {"adam", "adamw", "sgd"}));
  keys.push_back(above("optimizer.lr", at<kOptimizer, &O::lr>, 0));
  keys.push_back(number("optimizer.weight_decay", at<kOptimizer, &O::weight_decay>, 0, kNoLimit));
  keys.push_back(number("optimizer.momentum", at<kOptimizer, &O::momentum>, 0, 0.999999));
  keys.push_back(flag("optimizer.nesterov", at<kOptimizer, &O::nesterov>));
  keys.push_back(number("optimizer.betas", at<kOptimizer, &O::betas>, 0, 0.99999999));
  keys.push_back(above("optimizer.eps", at<kOptimizer, &O::eps>, 0));
  using S = ScheduleConfig;
  keys.push_back(text("schedule.name", at<kSchedule, &S::name>, {"cosine", "constant"}));
  keys.push_back(number("schedule.warmup_steps", at<kSchedule, &S::warmup_steps>, 0));
  keys.push_back(number("schedule.min_lr", at<kSchedule, &S::min_lr>, 0, kNoLimit));
  using C = ComputeConfig;
  keys.push_back(text("compute.precision", at<kCompute, &C::precision>, {"f32", "tf32", "bf16"}));
  keys.push_back(flag("compute.deterministic", at<kCompute, &C::deterministic>));
  keys.push_back(text("compute.convolution", at<kCompute, &C::convolution>, {"auto", "direct", "winograd", "bf16"}));
}

std::vector<ConfigKey> make_keys() {
  std::vector<ConfigKey> keys;
  append_model_keys(keys);
  append_data_keys(keys);
  append_solver_keys(keys);
  append_train_keys(keys);
  append_optimizer_keys(keys);
  return keys;
}

}  // namespace

std::span<const ConfigKey> config_keys() {
  static const std::vector<ConfigKey> keys = make_keys();
  return keys;
}

const ConfigKey* find_config_key(std::string_view name) {
  for (const ConfigKey& key : config_keys())
    if (key.name == name) return &key;
  return nullptr;
}

std::string_view nearest_config_key(std::string_view name) {
  const std::string_view leaf = name.substr(std::min(name.size(), name.find('.') + 1));
  std::vector<std::string_view> candidates;
  for (const ConfigKey& key : config_keys()) {
    if (key.leaf() == leaf) return key.name;
    candidates.push_back(key.name);
  }
  return nearest_name(name, candidates);
}

bool is_estimator_name(std::string_view name) {
  constexpr std::array<std::string_view, 7> kPlain = {"exact", "shine",           "shine-fallback",     "gdeq",
                                                      "jfb",   "adjoint-broyden", "adjoint-broyden-opa"};
  constexpr std::array<std::string_view, 7> kCounted = {"shine-refine-", "jfb-refine-", "limited-", "neumann-",
                                                        "phantom-",      "nystrom-",    "unrolled-"};
  if (std::find(kPlain.begin(), kPlain.end(), name) != kPlain.end()) return true;
  return std::any_of(kCounted.begin(), kCounted.end(), [&](std::string_view prefix) {
    if (!name.starts_with(prefix)) return false;
    const std::string_view count = name.substr(prefix.size());
    return !count.empty() && count.size() <= 6 && count[0] != '0' &&
           std::all_of(count.begin(), count.end(), [](char c) { return c >= '0' && c <= '9'; });
  });
}

std::string_view estimator_names() {
  return "exact, shine, shine-fallback, gdeq, shine-refine-K, jfb, jfb-refine-K, limited-K, neumann-K, phantom-K, "
         "adjoint-broyden, adjoint-broyden-opa, nystrom-K, unrolled-K";
}

}  // namespace deq
