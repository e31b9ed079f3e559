#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <vector>

namespace deq::test {

struct Outcome {
  int status = -1;  ///< exit status; -1: ended by a signal
  std::string out;
  std::string err;
};

/// Runs the program itself. @param arguments as a shell takes them
Outcome run_program(const std::string& arguments);

/// True when `text` is one line that ends: the only form of an error message.
bool is_one_line(const std::string& text);

/// File of a configuration that comes with the program.
std::string config_file(const std::string& name);

/// The program as a child process without output, started by the constructor and killed by the destructor.
class RunningProgram {
 public:
  explicit RunningProgram(const std::vector<std::string>& arguments);
  ~RunningProgram();
  RunningProgram(const RunningProgram&) = delete;
  RunningProgram& operator=(const RunningProgram&) = delete;

  void send(int signal) const;
  [[nodiscard]] bool is_running();
  /// Waits until the program minds SIGINT, which would end it before, and then for as long as it takes to be at work.
  void await_work();
  /// Waits for the end. @returns exit status, or minus the signal that ended it
  int wait();

 private:
  pid_t child_ = -1;
  bool has_ended_ = false;
  int status_ = 0;
};

/// --set flags and more that make a run of shapes-mdeq a matter of seconds on one thread: 4,000 parameters, `steps`
/// steps, the first third pre-training, with dropout and augmentation, a checkpoint after every step.
std::vector<std::string> small_run(const std::filesystem::path& out, int steps);

/// The arguments in one line.
std::string joined(const std::vector<std::string>& arguments);

}  // namespace deq::test
