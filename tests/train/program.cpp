#include "tests/train/program.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <sstream>
#include <thread>

#include "core/error.h"
#include "tests/train/temporary_folder.h"

namespace deq::test {

namespace {

/// Where a carried build says it is, or where this one was made.
std::string place(const char* variable, const char* built) {
  const char* carried = std::getenv(variable);
  return carried != nullptr ? carried : built;
}
std::string program() { return place("DEQ_PROGRAM", DEQ_PROGRAM); }

}  // namespace

Outcome run_program(const std::string& arguments) {
  const TemporaryFolder folder;
  const std::string out = (folder.path() / "out").string();
  const std::string err = (folder.path() / "err").string();
  const std::string command = program() + " " + arguments + " >" + out + " 2>" + err + " </dev/null";
  const int status = std::system(command.c_str());  // NOLINT: a fixed program on arguments of these tests
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, read_text(out), read_text(err)};
}

bool is_one_line(const std::string& text) { return !text.empty() && text.find('\n') == text.size() - 1; }

std::string config_file(const std::string& name) { return place("DEQ_CONFIGS", DEQ_CONFIGS) + "/" + name + ".toml"; }

RunningProgram::RunningProgram(const std::vector<std::string>& arguments) {
  const std::string path = program();
  std::vector<char*> pointers{const_cast<char*>(path.c_str())};
  for (const std::string& argument : arguments) pointers.push_back(const_cast<char*>(argument.c_str()));
  pointers.push_back(nullptr);
  child_ = ::fork();
  check(child_ >= 0, "test", "no child process");
  if (child_ > 0) return;
  const int nothing = ::open("/dev/null", O_RDWR);
  for (const int stream : {0, 1, 2}) ::dup2(nothing, stream);
  ::execv(path.c_str(), pointers.data());
  ::_exit(127);
}

RunningProgram::~RunningProgram() {
  if (has_ended_) return;
  send(SIGKILL);
  wait();
}

void RunningProgram::send(int signal) const {
  if (!has_ended_) ::kill(child_, signal);
}

bool RunningProgram::is_running() {
  if (!has_ended_) has_ended_ = ::waitpid(child_, &status_, WNOHANG) == child_;
  return !has_ended_;
}

void RunningProgram::await_work() {
  const auto minds_signals = [&] {
    std::istringstream status(read_text("/proc/" + std::to_string(child_) + "/status"));
    std::uint64_t caught = 0;
    for (std::string word; status >> word;)
      if (word == "SigCgt:") status >> std::hex >> caught;
    return (caught & (std::uint64_t{1} << (SIGINT - 1))) != 0;
  };
  while (is_running() && !minds_signals()) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  std::this_thread::sleep_for(std::chrono::seconds(1));
}

int RunningProgram::wait() {
  if (!has_ended_) ::waitpid(child_, &status_, 0);
  has_ended_ = true;
  return WIFEXITED(status_) ? WEXITSTATUS(status_) : -WTERMSIG(status_);
}

std::vector<std::string> small_run(const std::filesystem::path& out, int steps) {
  std::vector<std::string> arguments{
      "train", config_file("shapes-mdeq"), "--out", out.string(), "--resume", "--threads", "1", "--quiet"};
  for (const std::string setting :
       {"model.channels=[4,4]", "model.head_channels=[2,2]", "model.final_channels=8", "model.num_groups=2",
        "model.expansion=1", "model.dropout=0.1", "data.augment=true", "data.train_size=40", "data.test_size=10",
        "solver.max_steps=4", "train.batch_size=4", "train.unroll_steps=2", "train.log_every=1", "train.eval_every=8",
        "train.checkpoint_every=1"}) {
    arguments.emplace_back("--set");
    arguments.push_back(setting);
  }
  arguments.emplace_back("--set");
  arguments.push_back("train.total_steps=" + std::to_string(steps));
  arguments.emplace_back("--set");
  arguments.push_back("train.pretrain_steps=" + std::to_string(steps / 3));
  return arguments;
}

std::string joined(const std::vector<std::string>& arguments) {
  std::string out;
  for (const std::string& argument : arguments) out += (out.empty() ? "'" : " '") + argument + "'";
  return out;
}

}  // namespace deq::test
