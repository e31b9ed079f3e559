#include "train/commands/options.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "core/error.h"
#include "train/make_backend.h"

namespace deq {

void apply(const SolverLimits& limits, SolverConfig& solver, const GivenKeys& given) {
  if (limits.tolerance) require_unset(given, "solver.tolerance", "--tol");
  if (limits.max_steps) require_unset(given, "solver.max_steps", "--max-steps");
  if (limits.time_budget_ms) require_unset(given, "solver.time_budget_ms", "--time-budget");
  if (!limits.has_compaction) require_unset(given, "solver.compaction", "--no-compaction");
  if (limits.tolerance) solver.tolerance = *limits.tolerance;
  if (limits.max_steps) solver.max_steps = *limits.max_steps;
  if (limits.time_budget_ms) solver.time_budget_ms = *limits.time_budget_ms;
  if (!limits.has_compaction) solver.compaction = false;
}

Device default_device() { return usable_gpus().empty() ? Device{} : Device{.kind = DeviceKind::cuda}; }

Device device_named(const std::string& name) {
  if (name == "cpu") return {};
  if (name == "reference") return {.kind = DeviceKind::reference};
  const std::string index = name.starts_with("cuda:") ? name.substr(5) : "";
  const bool is_index = !index.empty() && index.size() <= 3 &&
                        std::all_of(index.begin(), index.end(), [](char c) { return c >= '0' && c <= '9'; });
  require(name == "cuda" || is_index, "--device", "'", name, "' is not one of ", kDeviceNames);
  const int wanted = is_index ? std::stoi(index) : 0;
  const std::vector<CudaDevice> gpus = usable_gpus();
  require(!gpus.empty(), "--device", "'", name, "' asked for, but ", no_gpu_reason(), "; use --device cpu");
  require(wanted < std::ssize(gpus), "--device", "'", name, "' asked for, but the last GPU is cuda:", gpus.size() - 1);
  return {.kind = DeviceKind::cuda, .index = wanted};
}

void check_readable(const std::filesystem::path& path) {
  std::error_code failure;
  const auto status = std::filesystem::status(path, failure);
  if (status.type() == std::filesystem::file_type::not_found) return;
  require(!failure, path.string(), "cannot be read: ", failure.message());
  const bool is_folder = std::filesystem::is_directory(status);
  require(is_folder || std::filesystem::is_regular_file(status), path.string(), "is neither a file nor a folder");
  const bool is_open = ::access(path.c_str(), is_folder ? R_OK | X_OK : R_OK) == 0;
  require(is_open, path.string(), "cannot be read: ", std::strerror(errno));
}

std::filesystem::path data_folder(const std::filesystem::path& given, const std::string& configured,
                                  const GivenKeys& given_keys) {
  if (!given.empty()) require_unset(given_keys, "data.path", "--data");
  return data_folder(given, configured);
}

std::filesystem::path data_folder(const std::filesystem::path& given, const std::string& configured) {
  if (!given.empty()) return given;
  if (!configured.empty()) return configured;
  const char* environment = std::getenv("DEQ_DATA_DIR");
  return environment != nullptr ? environment : "";
}

}  // namespace deq
