#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>
#include <vector>

#include "train/command_line.h"
#include "train/command_line_values.h"

namespace deq {

/// What CLI11 fills in while it parses; one instance for the command that was called.
struct Parsed {
  std::string device;
  std::int64_t seed = 0;
  std::string estimators;
  std::string audit_estimators;
  TrainRequest train;
  EvalRequest eval;
  PredictRequest predict;
  InfoRequest info;
  BenchRequest bench;
  DataListRequest data_list;
  DataExportRequest data_export;
  DataVerifyRequest data_verify;
  DataFetchRequest data_fetch;
  ImportRequest import_mdeq;
  AuditRequest audit;
  TuneRequest tune;
  PlotRequest plot;
  NewProjectRequest new_project;
  std::function<Request()> finish;  ///< set by the command that was called
};

/// What --data of a command with a configuration is.
inline constexpr const char* kDataFlag = "folder with the data; default: data.path as configured, else DEQ_DATA_DIR";

inline constexpr int kLargest = 1'000'000'000;

/// A command with its line in the list of commands and an example in its help.
CLI::App* add_command(CLI::App& app, const std::string& name, const std::string& what, const std::string& example);

/// The flags of RunOptions. They are turned into values by `finish_run`, once parsing is over.
void add_run_options(CLI::App& command, RunOptions& run, Parsed& parsed);

/// `run` with its device and seed. Errors: RequestError for a device that is not there.
RunOptions finish_run(const CLI::App& command, RunOptions run, const Parsed& parsed);

/// Makes `asked`, with its run options read, what the command line asks for when `command` is called.
template <class Asked>
void answer_with(CLI::App& command, Parsed& parsed, Asked Parsed::*asked) {
  command.final_callback([&command, &parsed, asked] {
    parsed.finish = [&command, &parsed, asked]() -> Request {
      Asked out = parsed.*asked;
      out.run = finish_run(command, out.run, parsed);
      return out;
    };
  });
}

/// --set section.key=value of a configuration's keys
void add_set_option(CLI::App& command, std::vector<std::string>& overrides);

/// --set section.key=value of a checkpoint's keys, of which the command reads `keys`
void add_set_option(CLI::App& command, std::vector<std::string>& overrides, const std::string& keys);

/// --tol and --max-steps, within what the configuration takes for solver.tolerance and solver.max_steps. `*_default`
/// says what holds without them.
void add_solver_limits(CLI::App& command, std::optional<double>& tolerance, std::optional<int>& max_steps,
                       const std::string& tolerance_default = "as configured",
                       const std::string& steps_default = "as configured");

/// The commands that measure and compare: bench, audit, tune, plot.
void add_bench(CLI::App& app, Parsed& parsed);
void add_audit(CLI::App& app, Parsed& parsed);
void add_tune(CLI::App& app, Parsed& parsed);
void add_plot(CLI::App& app, Parsed& parsed);

}  // namespace deq
