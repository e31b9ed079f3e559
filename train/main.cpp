#include <omp.h>

#include <exception>
#include <filesystem>
#include <iostream>
#include <new>
#include <string>
#include <string_view>
#include <system_error>
#include <variant>
#include <vector>

#include "core/error.h"
#include "core/stopped.h"
#include "core/wait_policy.h"
#include "train/command_line.h"
#include "train/interrupt.h"
#include "train/message_line.h"
#include "train/standard_streams.h"

namespace {

/// Calls the command. @returns exit status
int execute(const deq::Request& request) {
  struct Visitor {
    int operator()(const deq::TrainRequest& train) const { return deq::run_train(train); }
    int operator()(const deq::EvalRequest& eval) const { return deq::run_eval(eval); }
    int operator()(const deq::PredictRequest& predict) const { return deq::run_predict(predict); }
    int operator()(const deq::InfoRequest& info) const { return deq::run_info(info); }
    int operator()(const deq::BenchRequest& bench) const { return deq::run_bench(bench); }
    int operator()(const deq::DataListRequest& list) const { return deq::run_data_list(list); }
    int operator()(const deq::DataExportRequest& out) const { return deq::run_data_export(out); }
    int operator()(const deq::DataVerifyRequest& verify) const { return deq::run_data_verify(verify); }
    int operator()(const deq::DataFetchRequest& fetch) const { return deq::run_data_fetch(fetch); }
    int operator()(const deq::ImportRequest& weights) const { return deq::run_import(weights); }
    int operator()(const deq::AuditRequest& audit) const { return deq::run_audit(audit); }
    int operator()(const deq::TuneRequest& tune) const { return deq::run_tune_command(tune); }
    int operator()(const deq::PlotRequest& plot) const { return deq::run_plot(plot); }
    int operator()(const deq::NewProjectRequest& project) const { return deq::run_new_project(project); }
  };
  const int threads = std::visit([](const auto& any) { return any.run.threads; }, request);
  if (threads > 0) omp_set_num_threads(threads);
  // Every long command asks is_interrupted() between steps, saves and returns kInterruptedStatus, or calls
  // stop_if_interrupted().
  const deq::InterruptGuard guard;
  return std::visit(Visitor{}, request);
}

constexpr int kFailed = 1;
constexpr int kWrongRequest = 2;

int report(std::string_view message, int status) {
  std::cerr << "deq: " << deq::message_line(message) << std::endl;
  return status;
}

/// What the file system says of a path that no command had refused before.
int report(const std::filesystem::filesystem_error& error) {
  const std::error_code& code = error.code();
  const bool is_no_path = code == std::errc::filename_too_long || code == std::errc::too_many_symbolic_link_levels ||
                          code == std::errc::permission_denied || code == std::errc::not_a_directory;
  return report(deq::concat(error.path1().string(), ": ", code.message()), is_no_path ? kWrongRequest : kFailed);
}

}  // namespace

int main(int argc, char** argv) {
  deq::hold_standard_streams();
  deq::limit_spinning(argv);
  try {
    const std::vector<std::string> arguments(argv + 1, argv + argc);
    std::string text;
    const std::optional<deq::Request> request = deq::parse_command_line(arguments, text);
    int status = 0;
    if (request)
      status = execute(*request);
    else
      std::cout << text;
    std::cout.flush();
    if (!std::cout.good()) return report("the result could not be written to stdout", kFailed);
    return status;
  } catch (const deq::Interrupted&) {
    return deq::kInterruptedStatus;
  } catch (const deq::Stopped&) {
    return deq::kInterruptedStatus;
  } catch (const deq::RequestError& error) {
    return report(error.what(), kWrongRequest);
  } catch (const std::bad_alloc&) {
    return report("out of memory; a smaller train.batch_size or solver.memory needs less", kFailed);
  } catch (const std::filesystem::filesystem_error& error) {
    return report(error);
  } catch (const std::exception& error) {
    return report(error.what(), kFailed);
  }
}
