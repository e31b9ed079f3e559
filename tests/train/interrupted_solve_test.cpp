#include <doctest/doctest.h>

#include <chrono>
#include <csignal>

#include "data/npy.h"
#include "tests/train/program.h"
#include "tests/train/temporary_folder.h"

// A signal ends a command in the middle of its solve: soon, with status 130 and without results.

namespace deq {

using test::config_file;
using test::files_in;
using test::joined;
using test::run_program;
using test::RunningProgram;
using test::small_run;
using test::TemporaryFolder;

namespace {

using Arguments = std::vector<std::string>;

/// A small model solved by Picard iteration, which keeps no history with no solver to fall back on, with two images for
/// it.
struct Subject {
  Subject() {
    Arguments train = small_run(folder.path() / "run", 3);
    for (const char* setting :
         {"solver.name=picard", "solver.fallback=none", "solver.backward=picard", "train.estimator=jfb"})
      train.insert(train.end(), {"--set", setting});
    REQUIRE(run_program(joined(train)).status == 0);
    write_npy(at("x.npy"), Tensor(DType::f32, {2, 3, 32, 32}));
    write_npy(at("l.npy"), Tensor(DType::i64, {2}));
    REQUIRE(run_program("data export shapes --count 1 --out " + at("images")).status == 0);
  }
  [[nodiscard]] std::string at(const std::string& name) const { return (folder.path() / name).string(); }
  TemporaryFolder folder;
};

/// `arguments`, as they stand, with solves that would take minutes, are interrupted by each signal.
void check_interrupted(Arguments arguments) {
  arguments.insert(arguments.end(), {"--threads", "1", "--quiet"});
  CAPTURE(joined(arguments));
  for (const int signal : {SIGINT, SIGTERM}) {
    RunningProgram program(arguments);
    program.await_work();
    CHECK(program.is_running());
    const auto signalled = std::chrono::steady_clock::now();
    program.send(signal);
    CHECK(program.wait() == 130);
    CHECK(std::chrono::steady_clock::now() - signalled < std::chrono::seconds(10));
  }
}

}  // namespace

TEST_CASE("a signal ends evaluation, prediction and audit within a solve, without results") {
  const Subject subject;
  const std::string checkpoint = subject.at("run/checkpoints/last");
  const auto with_limits = [&](Arguments arguments) {
    arguments.insert(arguments.begin() + 1, checkpoint);
    arguments.insert(arguments.end(), {"--max-steps", "100000", "--tol", "0"});
    return arguments;
  };
  check_interrupted(with_limits({"eval"}));
  check_interrupted(with_limits({"predict", "--tensor", subject.at("x.npy"), "--save-logits", subject.at("y.npy")}));
  const std::string image = files_in(subject.at("images")).front();
  check_interrupted(with_limits({"predict", subject.at("images/" + image), "--sheet", subject.at("sheet.png")}));
  check_interrupted(with_limits({"audit", "--tensor", subject.at("x.npy"), "--labels", subject.at("l.npy"), "--plot",
                                 subject.at("audit.svg"), "--save-gradients", subject.at("gradients")}));
  CHECK(files_in(subject.folder.path()) == Arguments{"gradients", "images", "l.npy", "run", "x.npy"});
  CHECK(files_in(subject.at("gradients")).empty());
}

TEST_CASE("a signal ends a benchmark within a solve") {
  Arguments bench{"bench", config_file("shapes-mdeq"), "--batch", "2", "--repeats", "1"};
  for (const char* setting :
       {"solver.name=picard", "solver.fallback=none", "train.estimator=jfb", "solver.max_steps=100000"})
    bench.insert(bench.end(), {"--set", setting});
  check_interrupted(bench);
}

}  // namespace deq
