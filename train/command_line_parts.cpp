#include "train/command_line_parts.h"

#include "train/config_keys.h"

namespace deq {

CLI::App* add_command(CLI::App& app, const std::string& name, const std::string& what, const std::string& example) {
  CLI::App* command = app.add_subcommand(name, what);
  command->footer("Example:\n  " + example + "\n");
  return command;
}

void add_run_options(CLI::App& command, RunOptions& run, Parsed& parsed) {
  command.add_option("--device", parsed.device, "cpu, cuda, cuda:N or reference; default: the best there is");
  command.add_option("--threads", run.threads, "threads of the computation; default: all")
      ->transform(whole_number(1, 1024));
  command.add_option("--seed", parsed.seed, "seed of everything random; default: as configured")
      ->transform(whole_number(0, INT64_MAX));
  command.add_flag("--json", run.is_json, "machine-readable result on stdout");
  command.add_flag("--quiet", run.is_quiet, "no progress on stderr");
}

RunOptions finish_run(const CLI::App& command, RunOptions run, const Parsed& parsed) {
  run.device = parsed.device.empty() ? default_device() : device_named(parsed.device);
  if (command.count("--seed") > 0) run.seed = parsed.seed;
  return run;
}

void add_set_option(CLI::App& command, std::vector<std::string>& overrides) {
  // One value each, so that a positional argument may follow.
  command.add_option("--set", overrides, "section.key=value, may be repeated; keys: docs/configuration.md")
      ->allow_extra_args(false);
}

void add_set_option(CLI::App& command, std::vector<std::string>& overrides, const std::string& keys) {
  command
      .add_option("--set", overrides,
                  "section.key=value instead of what the checkpoint says, may be repeated; keys: " + keys)
      ->allow_extra_args(false);
}

void add_solver_limits(CLI::App& command, std::optional<double>& tolerance, std::optional<int>& max_steps,
                       const std::string& tolerance_default, const std::string& steps_default) {
  command.add_option("--tol", tolerance, "tolerance of the solver; default: " + tolerance_default)
      ->transform(finite_number(0));
  const double most = find_config_key("solver.max_steps")->maximum;
  command.add_option("--max-steps", max_steps, "most solver steps; default: " + steps_default)
      ->transform(whole_number(1, static_cast<std::int64_t>(most)));
}

}  // namespace deq
