#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "core/device.h"
#include "train/checkpoint_override.h"

namespace deq {

/// Flags that every command takes.
struct RunOptions {
  Device device;                     ///< --device, by default the best one that is there
  int threads = 0;                   ///< --threads, already applied to OpenMP; 0: as many as the machine offers
  std::optional<std::int64_t> seed;  ///< --seed
  bool is_json = false;              ///< --json: one machine-readable result on stdout
  bool is_quiet = false;             ///< --quiet: no progress on stderr
};

/// Flags that change how a model is solved. What is not given stays as configured.
struct SolverLimits {
  std::optional<double> tolerance;
  std::optional<int> max_steps;
  std::optional<double> time_budget_ms;
  bool has_compaction = true;  ///< false: --no-compaction
};

/// Puts `limits` into `solver`, of which --set changed the keys in `given`.
/// Errors: RequestError for a limit whose key is among them.
void apply(const SolverLimits& limits, SolverConfig& solver, const GivenKeys& given);

inline constexpr std::string_view kDeviceNames = "cpu, cuda, cuda:N, reference";

/// The first GPU that can be used, else the CPU.
Device default_device();

/// The device of one of kDeviceNames.
/// Errors: RequestError for another name or for a device this build or machine does not have.
Device device_named(const std::string& name);

/// Refuses what no checkpoint or configuration can be read from: a loop of links, a device, a pipe, a folder that may
/// not be read. What is not there passes: whoever reads it says what was expected.
/// Errors: RequestError naming the path and the reason.
void check_readable(const std::filesystem::path& path);

/// As data_folder below, of a checkpoint. Errors: RequestError for --data beside a --set of data.path.
std::filesystem::path data_folder(const std::filesystem::path& given, const std::string& configured,
                                  const GivenKeys& given_keys);

/// The folder with data: `given` (--data) if not empty, else `configured` (data.path), else $DEQ_DATA_DIR, else empty.
std::filesystem::path data_folder(const std::filesystem::path& given, const std::string& configured);

}  // namespace deq
