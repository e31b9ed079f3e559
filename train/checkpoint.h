#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/tensor.h"
#include "train/config.h"

namespace deq {

using NamedTensors = std::map<std::string, Tensor>;

/// How a model came to be, for `deq info`. NaN: not known.
struct TrainingRecord {
  std::int64_t step = 0;  ///< optimiser steps taken
  std::int64_t epoch = 0;
  std::string phase;  ///< "pretrain" or "equilibrium"
  double seconds = 0;
  double train_loss = std::numeric_limits<double>::quiet_NaN();
  double test_loss = std::numeric_limits<double>::quiet_NaN();
  double test_accuracy = std::numeric_limits<double>::quiet_NaN();
};

/// Contents of a checkpoint folder.
///
/// model.safetensors   `model`; its metadata holds format, deq_version, config (TOML), class_names (JSON: strings, or
///                     the bytes of one that is not UTF-8), training
/// state.safetensors   `state` and `counters`; only needed to train on
/// manifest.json       size and CRC-32 of both
struct Checkpoint {
  Config config;
  std::vector<std::string> class_names;
  TrainingRecord training;
  NamedTensors model;                           ///< parameters and running statistics
  NamedTensors state;                           ///< optimiser moments and whatever else has a shape
  std::map<std::string, std::string> counters;  ///< step, best accuracy, ... as text
};

struct SaveOptions {
  /// Called at each step of saving with its name; a test ends the process here.
  std::function<void(std::string_view)> reached = {};
  bool uses_exchange = true;  ///< swap the folders in one step where the system can
};

/// Writes `folder`, replacing a checkpoint that is there. Written beside, synced, renamed: a kill at any instant
/// leaves the old or the new checkpoint readable under `folder`.
/// Errors: Error naming the file and the reason (disk full, ...); the old checkpoint then stays as it was.
void save_checkpoint(const std::filesystem::path& folder, const Checkpoint& checkpoint,
                     const SaveOptions& options = {});

enum class CheckpointParts : std::uint8_t { model, all };

/// Reads a checkpoint from its folder or its model.safetensors. parts = all needs the manifest and the state, model
/// neither; what there is of them is checked, but for the state beside a model.safetensors that was given itself.
/// Errors (RequestError): no such file; a file whose size or checksum is not the manifest's; not a checkpoint of deq;
/// an unreadable configuration.
Checkpoint load_checkpoint(const std::filesystem::path& path, CheckpointParts parts = CheckpointParts::model);

/// True when a complete checkpoint can be read under `folder`, perhaps from what a killed save left beside it.
bool has_checkpoint(const std::filesystem::path& folder);

/// True when the manifest of the checkpoint at `path` (as for load_checkpoint) was there to be checked.
bool has_manifest(const std::filesystem::path& path);

/// True for the names of the files that a checkpoint folder consists of.
bool is_checkpoint_file(std::string_view name);

/// Copies `from` into the tensors of `into` (which share their bytes with the caller's parameters).
/// Errors (RequestError starting with `place`): lists the missing, the surplus and the misshapen tensors; then
/// nothing has been copied.
void copy_tensors(const NamedTensors& from, const NamedTensors& into, std::string_view place);

/// True for running statistics (updated by the forward pass), false for parameters (trained).
bool is_running_statistic(std::string_view tensor_name);

}  // namespace deq
