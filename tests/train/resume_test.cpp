#include <doctest/doctest.h>

#include <chrono>
#include <csignal>
#include <cstring>
#include <nlohmann/json.hpp>
#include <random>
#include <sstream>
#include <thread>

#include "tests/train/program.h"
#include "tests/train/temporary_folder.h"
#include "train/checkpoint.h"

namespace deq {

using test::read_text;
using test::RunningProgram;
using test::small_run;
using test::TemporaryFolder;

namespace {

using Folder = std::filesystem::path;
using Milliseconds = std::chrono::duration<double, std::milli>;
constexpr int kSteps = 240;
constexpr int kKills = 20;

Checkpoint last_of(const Folder& run) { return load_checkpoint(run / "checkpoints" / "last", CheckpointParts::all); }

bool have_same_bits(const NamedTensors& a, const NamedTensors& b) {
  if (a.size() != b.size()) return false;
  for (const auto& [name, tensor] : a) {
    const auto other = b.find(name);
    if (other == b.end() || other->second.type() != tensor.type()) return false;
    if (std::memcmp(other->second.raw(), tensor.raw(), tensor.bytes()) != 0) return false;
  }
  return true;
}

/// (step, loss) of every logged training step.
std::vector<std::pair<int, double>> losses_of(const Folder& run) {
  std::vector<std::pair<int, double>> out;
  std::istringstream lines(read_text(run / "metrics.jsonl"));
  for (std::string line; std::getline(lines, line);) {
    const auto record = nlohmann::json::parse(line);
    if (!record.contains("split")) out.emplace_back(record["step"].get<int>(), record["loss"].get<double>());
  }
  return out;
}

void check_same_run(const Folder& whole, const Folder& interrupted) {
  const Checkpoint expected = last_of(whole), found = last_of(interrupted);
  CHECK(have_same_bits(expected.model, found.model));
  CHECK(have_same_bits(expected.state, found.state));
  CHECK(expected.counters == found.counters);
  CHECK(losses_of(whole) == losses_of(interrupted));
}

/// Waits until the run has logged a further step, or has ended.
void await_step(RunningProgram& program, const Folder& run) {
  const Folder metrics = run / "metrics.jsonl";
  const auto size = [&] {
    std::error_code none;
    const auto bytes = std::filesystem::file_size(metrics, none);
    return none ? std::uintmax_t{0} : bytes;
  };
  // A resumed run cuts the file back first, hence the smallest size seen.
  for (std::uintmax_t least = size(); program.is_running() && size() <= least; least = std::min(least, size()))
    std::this_thread::sleep_for(Milliseconds(1));
}

/// The uninterrupted run, made once for all tests of this file.
struct WholeRun {
  WholeRun() {
    const auto start = std::chrono::steady_clock::now();
    RunningProgram program(small_run(path, kSteps));
    status = program.wait();
    time = std::chrono::steady_clock::now() - start;
  }
  TemporaryFolder folder;
  Folder path = folder.path() / "whole";
  int status = -1;
  Milliseconds time{};
};
const WholeRun& whole_run() {
  static const WholeRun whole;
  REQUIRE(whole.status == 0);
  return whole;
}

}  // namespace

TEST_CASE("a run killed at 20 random instants ends on the bits of an uninterrupted one") {
  const WholeRun& whole = whole_run();
  const TemporaryFolder folder;
  const Folder run = folder.path() / "run";
  std::mt19937 rng(20);
  // Even kills fall anywhere from the start on; odd ones within a few steps (each saves), after work was done. All
  // delays together stay below the time of a whole run, so that every kill finds the run at work.
  const double from_start = whole.time.count() / 15, after_step = whole.time.count() / 100;
  for (int i = 0; i < kKills; ++i) {
    RunningProgram program(small_run(run, kSteps));
    if (i % 2 == 1) await_step(program, run);
    const double most = i % 2 == 1 ? after_step : from_start;
    std::this_thread::sleep_for(Milliseconds(std::uniform_real_distribution<>(0, most)(rng)));
    program.send(SIGKILL);
    INFO("kill " << i);
    CHECK(program.wait() == -SIGKILL);
  }
  RunningProgram last(small_run(run, kSteps));
  CHECK(last.wait() == 0);
  check_same_run(whole.path, run);
}

TEST_CASE("SIGINT and SIGTERM save, end with status 130, and the run goes on to the same bits") {
  const WholeRun& whole = whole_run();
  const TemporaryFolder folder;
  const Folder run = folder.path() / "run";
  for (const int signal : {SIGINT, SIGTERM}) {
    RunningProgram program(small_run(run, kSteps));
    await_step(program, run);
    program.send(signal);
    CHECK(program.wait() == 130);
    const std::string step = last_of(run).counters.at("step");
    CHECK(std::stoi(step) == losses_of(run).back().first);
    CHECK(std::stoi(step) < kSteps);
  }
  RunningProgram last(small_run(run, kSteps));
  CHECK(last.wait() == 0);
  check_same_run(whole.path, run);
}

TEST_CASE("a signal cuts the solve of a step, which is taken again on resuming, to the same bits") {
  const TemporaryFolder folder;
  const Folder whole = folder.path() / "whole", run = folder.path() / "run";
  const auto train = [](const Folder& out, const std::vector<std::string>& more = {}) {
    std::vector<std::string> arguments = small_run(out, 24);
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  };
  REQUIRE(RunningProgram(train(whole)).wait() == 0);
  REQUIRE(RunningProgram(train(run, {"--max-steps", "17"})).wait() == 0);
  // A solve that would take minutes.
  RunningProgram program(
      train(run, {"--set", "solver.name=picard", "--set", "solver.fallback=none", "--set", "train.estimator=jfb",
                  "--set", "solver.max_steps=100000", "--set", "solver.tolerance=0"}));
  program.await_work();
  const auto signalled = std::chrono::steady_clock::now();
  program.send(SIGINT);
  CHECK(program.wait() == 130);
  CHECK(Milliseconds(std::chrono::steady_clock::now() - signalled).count() < 10000);
  CHECK(last_of(run).counters.at("step") == "17");
  CHECK(losses_of(run).back().first == 17);
  CHECK(RunningProgram(train(run)).wait() == 0);
  check_same_run(whole, run);
}

TEST_CASE("drawn starts, supervised slices and penalties go on as if nothing had been interrupted") {
  const TemporaryFolder folder;
  const auto run = [&](const Folder& out, int until) {
    std::vector<std::string> arguments = small_run(out, 24);
    for (const char* setting : {"train.start=mixed", "train.correction_states=2", "train.jacobian_frequency=0.5",
                                "train.jacobian_weight=0.1", "train.estimator=shine-refine-1"})
      arguments.insert(arguments.end(), {"--set", setting});
    if (until > 0) arguments.insert(arguments.end(), {"--max-steps", std::to_string(until)});
    RunningProgram program(arguments);
    return program.wait();
  };
  REQUIRE(run(folder.path() / "whole", 0) == 0);
  for (const int until : {10, 17, 0}) REQUIRE(run(folder.path() / "parts", until) == 0);
  check_same_run(folder.path() / "whole", folder.path() / "parts");
  // Both slices of two steps count.
  const auto lines = read_text(folder.path() / "whole" / "metrics.jsonl");
  CHECK(lines.find(R"("forward":{"steps":4.0)") != std::string::npos);
}

}  // namespace deq
