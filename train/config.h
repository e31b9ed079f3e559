#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace deq {

/// Shape of the network. Per-branch lists have one entry a branch; branch i has 1/2^i of the resolution of branch 0.
struct ModelConfig {
  std::string name = "mdeq-tiny";
  std::string architecture = "mdeq";
  std::string task = "classification";
  std::vector<int> channels = {24, 24};
  std::vector<int> head_channels = {8, 16};
  int final_channels = 200;
  int expansion = 5;         ///< inner width of a residual block over its outer width
  int downsample_times = 0;  ///< halvings of the image in the stem
  std::vector<int> num_blocks = {1, 1};
  std::vector<int> big_kernels = {0, 0};  ///< convolutions of a block that are 5x5 instead of 3x3: 0, 1 or 2
  int num_groups = 8;
  double dropout = 0.25;
  bool weight_norm = true;
  bool post_gn_affine = false;
  bool block_gn_affine = true;
  bool fuse_gn_affine = true;
  int classes = 10;
  double bn_momentum = 0.1;
  std::string inference_output = "iterate";  ///< what inference hands to the head: the iterate z*, or f(z*) applied
  bool operator==(const ModelConfig&) const = default;
};

struct DataConfig {
  std::string name = "cifar10";                 ///< one of known_datasets()
  std::string path;                             ///< as --data; empty: DEQ_DATA_DIR
  std::vector<int> image = {32, 32};            ///< height, width
  std::vector<int> eval_image = {};             ///< height, width at evaluation; empty: as image. Segmentation only
  bool augment = false;                         ///< what is usual for the set: random crops and flips, see docs/data.md
  std::vector<double> scale = {0.5, 2.1};       ///< of augmented segmentation: random factor, in steps of 0.1
  std::vector<double> crop_area = {0.08, 1.0};  ///< of augmented imagenet: share of the image that a crop covers
  std::string bad_files = "skip";               ///< skip or error: what becomes of a file that cannot be decoded
  std::vector<double> class_weights = {};       ///< of the segmentation loss; empty: all 1
  int ignore_label = 255;                       ///< label of pixels that do not count
  std::vector<int> label_map = {};              ///< class of each label of the files; empty: they are classes
  int train_size = 0;                           ///< images used for training; 0: all (for shapes: as many as are drawn)
  int test_size = 0;                            ///< images used for evaluation; 0: all
  std::vector<double> mean = {0.4914, 0.4822, 0.4465};
  std::vector<double> std = {0.2023, 0.1994, 0.2010};
  int threads = 1;        ///< of the loader; results do not depend on it
  std::int64_t seed = 0;  ///< of the drawn set and of its order
  bool operator==(const DataConfig&) const = default;
};

struct SolverConfig {
  std::string name = "broyden";  ///< broyden, broyden-lowrank, anderson, picard, adjoint-broyden, newton-krylov
  std::string mode = "rel";      ///< residual that is held against the tolerance: rel or abs, per sample
  int max_steps = 18;
  double tolerance = 1e-3;
  int memory = 0;                   ///< pairs kept, beyond which their smallest directions go; 0: as many as steps
  std::string history = "float32";  ///< type of the steps that Broyden keeps: float32 or bfloat16
  int patience = 0;                 ///< steps without progress until a sample is stalled; 0: never
  double damping = 1.0;             ///< of Picard and Anderson, 1 is the plain step
  int backward_max_steps = 20;
  double backward_tolerance = 1e-3;
  double time_budget_ms = 0;         ///< in inference, wall-clock limit of the solve of one batch; 0: none
  bool compaction = true;            ///< in inference, images whose solve has stopped leave the batch
  bool warm_start = false;           ///< in inference, each row of a batch starts at that of the batch before
  std::string backward = "broyden";  ///< how `exact` and `limited-K` solve: also gmres, bicgstab, anderson, picard
  double phantom_damping = 0.5;      ///< of phantom-K, 1 is the plain step
  /// Solvers that images whose solve broke down go on with: names joined by commas, "none", or "auto" for broyden
  /// (where another solver is chosen), then damped picard.
  std::string fallback = "auto";
  double guard_gain = 1.8;  ///< fall back when the shared estimate stretches the cotangent by more
  bool operator==(const SolverConfig&) const = default;
};

struct TrainConfig {
  int batch_size = 64;
  int eval_batch_size = 0;  ///< 0: batch_size
  int epochs = 50;
  int total_steps = 0;  ///< 0: from epochs
  int pretrain_steps = 3000;
  int unroll_steps = 10;  ///< applications of f in pre-training
  std::string estimator = "shine";
  std::string start = "zeros";  ///< of the solves of the equilibrium phase: zeros, gaussian or mixed (each image one)
  int correction_states = 1;    ///< states of a solve that are supervised, evenly spaced; 1: the last alone
  std::string correction_weights = "geometric";  ///< of their losses: geometric, linear or constant
  double correction_decay = 0.8;                 ///< of the geometric ones: decay^(states to the last)
  int eval_every = 0;                            ///< steps; 0: once an epoch
  int eval_limit = 0;                            ///< images of an evaluation during training; 0: all
  int log_every = 10;                            ///< steps
  int checkpoint_every = 0;                      ///< steps; 0: at every evaluation
  bool recompute =
      false;  ///< evaluate f at z* once more in the backward instead of keeping its values (autodiff/recompute.h)
  double clip_norm = 0;  ///< largest gradient norm; 0: no clipping
  std::int64_t seed = 42;
  std::string initial_weights;  ///< checkpoint that the run begins from; empty: drawn weights
  double jacobian_weight = 0;
  double jacobian_pretrain_weight = 0;
  double jacobian_frequency = 0;      ///< share of steps that estimate the Jacobian penalty
  int jacobian_increment_every = 0;   ///< steps after which the weight grows by 0.1; 0: never
  int jacobian_stop_epoch = 0;        ///< epoch from which the weight is 0; 0: never
  int random_max_steps_delta = 2;     ///< range of the step limit on steps with a penalty
  int jacobian_probes = 2;            ///< random vectors of one estimate of the penalty
  double jacobian_target_radius = 0;  ///< spectral radius that the weight is steered to; 0: the weight is as scheduled
  int spectral_radius_steps = 30;     ///< products with the Jacobian at every evaluation to measure it; 0: not measured
  /// Images of a batch in evaluations.
  [[nodiscard]] int evaluation_batch() const { return eval_batch_size > 0 ? eval_batch_size : batch_size; }
  bool operator==(const TrainConfig&) const = default;
};

struct OptimizerConfig {
  std::string name = "adam";  ///< adam, adamw or sgd
  double lr = 1e-3;
  double weight_decay = 0;
  double momentum = 0.9;
  bool nesterov = false;
  std::vector<double> betas = {0.9, 0.999};
  double eps = 1e-8;
  bool operator==(const OptimizerConfig&) const = default;
};

struct ScheduleConfig {
  std::string name = "cosine";  ///< cosine or constant
  int warmup_steps = 0;
  double min_lr = 1e-6;
  bool operator==(const ScheduleConfig&) const = default;
};

struct ComputeConfig {
  /// How the GPU computes convolutions and matrix products: f32, tf32 or bf16. States, sums and gradients of the solve
  /// are f32 always. See docs/cuda.md.
  std::string precision = "tf32";
  bool deterministic = false;  ///< on the GPU, only algorithms that give the same bits in every run
  /// How the CPU computes convolutions: auto, direct, winograd or bf16. See docs/performance.md.
  std::string convolution = "auto";
  bool operator==(const ComputeConfig&) const = default;
};

/// A whole training run as a value. Every key is listed once, in config_keys.cpp.
struct Config {
  ModelConfig model;
  DataConfig data;
  SolverConfig solver;
  TrainConfig train;
  OptimizerConfig optimizer;
  ScheduleConfig schedule;
  ComputeConfig compute;
  bool operator==(const Config&) const = default;
};

/// Reads a configuration from TOML. `place` names the text in messages; `overrides` are "section.key=value".
/// Keys that are absent keep their default; per-branch lists that are absent are filled to the number of branches.
/// Errors (RequestError): syntax, unknown section or key (names the nearest), wrong type, value out of range,
/// values that contradict each other.
Config parse_config(std::string_view text, std::string_view place, std::span<const std::string> overrides = {});

/// As above, from a file.
Config load_config(const std::filesystem::path& file, std::span<const std::string> overrides = {});

/// The configuration with every key, as TOML. parse_config(write_config(c)) == c.
std::string write_config(const Config& config);

/// Errors (RequestError, starting with `place`): values that contradict each other.
void check_config(const Config& config, std::string_view place);

}  // namespace deq
