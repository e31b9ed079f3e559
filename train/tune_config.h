#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace deq {

/// Which bi-level problem is built from the data.
struct TuneProblemConfig {
  /// logistic, multinomial, least-squares (two classes through a sigmoid), cleaning (multinomial, with one weight
  /// sigmoid(lambda_i) for each training sample)
  std::string name = "logistic";
  std::string penalty = "shared";  ///< shared, per-weight or per-class; for cleaning: shared
  double fixed_penalty = 0;        ///< cleaning: logarithm of the L2 penalty, which is not tuned
  bool operator==(const TuneProblemConfig&) const = default;
};

struct TuneDataConfig {
  std::string name;                   ///< a known set (20news, a9a, wdbc, ...) or a file: LIBSVM text, .csv, .npy
  std::string path;                   ///< folder, as --data; empty: DEQ_DATA_DIR
  std::string test_part = "stacked";  ///< of a set that has one: split again with the rest (stacked), or kept
  double train_fraction = 0.9;
  double validation_fraction = 0.05;  ///< what is left joins the test part
  double corrupted_fraction = 0;      ///< share of the training labels that are replaced by another class
  bool operator==(const TuneDataConfig&) const = default;
};

struct TuneInnerConfig {
  int max_iterations = 1000;
  double tolerance = 1e-3;                   ///< eps_1, relative to the first inner gradient
  std::string decay = "exponential";         ///< exponential, quadratic, cubic or exact
  double factor = 0;                         ///< of the exponential decay; 0: as the method has it
  double floor = 1e-12;                      ///< smallest eps
  int memory = 0;                            ///< pairs; 0: as the method has it
  bool carries_memory = true;                ///< pairs of an inner solve start the next one
  std::string initial_inverse = "identity";  ///< identity or scaled
  std::string pairs = "double";              ///< how they are kept: double, or single in half the memory
  double curvature = 0.9;                    ///< c2 of the line search
  int max_evaluations = 20;                  ///< of one line search
  bool operator==(const TuneInnerConfig&) const = default;
};

struct TuneOuterConfig {
  std::string methods = "hoag, shine, shine-refine, jfb";  ///< separated by commas
  std::string optimizer = "adaptive";  ///< adaptive (HOAG as executed), adaptive-clean, gd, adam or elra
  double rate = 0.1;                   ///< of gd and adam
  int points = 30;                     ///< of a trace, the start included
  int seeds = 10;
  double lambda = 0;           ///< start, for every hyper-parameter
  double bound = 12;           ///< lambda stays in [-bound, bound]
  double start_deviation = 1;  ///< w_0 is drawn from N(0, deviation^2)
  int search_points = 10;      ///< candidates of grid and random
  double search_tolerance = 1e-4;
  std::string measure = "test";  ///< loss whose sub-optimality is plotted: test or validation
  bool operator==(const TuneOuterConfig&) const = default;
};

/// The experiment on the quality of the shared inverse: `deq tune --inverse-quality`.
struct TuneQualityConfig {
  int runs = 100;
  int memory = 60;
  int period = 5;  ///< of the outer-aware pairs
  double tolerance = 1e-6;
  double curvature = 9e-4;  ///< c2 of the line search, that of the published experiment
  double lambda = 0;
  double train_fraction = 0.2;
  std::int64_t split_seed = 3;
  std::int64_t seed = 42;
  bool operator==(const TuneQualityConfig&) const = default;
};

/// What `deq tune` does, as a value. Every key is listed once, in tune_config.cpp.
struct TuneConfig {
  TuneProblemConfig problem;
  TuneDataConfig data;
  TuneInnerConfig inner;
  TuneOuterConfig outer;
  TuneQualityConfig quality;
  bool operator==(const TuneConfig&) const = default;
};

/// Reads a configuration from TOML; `place` names the text in messages. Absent keys keep their default.
/// Errors (RequestError): syntax, unknown section or key (names the nearest), wrong type, value out of range, values
/// that contradict each other.
TuneConfig parse_tune_config(std::string_view text, std::string_view place);

/// As above, from a file.
TuneConfig load_tune_config(const std::filesystem::path& file);

/// The configuration with every key, as TOML. parse_tune_config(write_tune_config(c)) == c.
std::string write_tune_config(const TuneConfig& config);

}  // namespace deq
