#include <doctest/doctest.h>
#include <sys/wait.h>

#include <cmath>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/train/program.h"
#include "tests/train/temporary_folder.h"
#include "train/checkpoint.h"
#include "train/folder_lock.h"
#include "train/metrics.h"

// What a training leaves in its folder when something is not as usual.

namespace deq {

using test::contains;
using test::joined;
using test::message_of;
using test::Outcome;
using test::read_text;
using test::run_program;
using test::small_run;
using test::TemporaryFolder;
using test::write_text;
using Json = nlohmann::json;

namespace {

std::vector<Json> records_of(const std::filesystem::path& run) {
  std::vector<Json> out;
  std::istringstream lines(read_text(run / "metrics.jsonl"));
  for (std::string line; std::getline(lines, line);) out.push_back(Json::parse(line));
  return out;
}

std::vector<std::string> with_progress(std::vector<std::string> arguments) {
  std::erase(arguments, "--quiet");
  return arguments;
}

}  // namespace

TEST_CASE("a folder has one process that writes to it") {
  const TemporaryFolder folder;
  const std::filesystem::path run = folder.path() / "run";
  REQUIRE(run_program(joined(small_run(run, 3))).status == 0);
  {
    const FolderLock lock(run);
    CHECK(contains(message_of<RequestError>([&] { FolderLock second(run); }), "another process"));
    const Outcome refused = run_program(joined(small_run(run, 6)));
    CHECK(refused.status == 2);
    CHECK(contains(refused.err, "another process"));
  }
  CHECK(run_program(joined(small_run(run, 6))).status == 0);
}

TEST_CASE("without standard streams the files of a run hold what belongs there") {
  const TemporaryFolder folder;
  const std::filesystem::path run = folder.path() / "run";
  const auto status_of = [](const std::string& command) {
    const int status = std::system((DEQ_PROGRAM " " + command).c_str());
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  };
  REQUIRE(status_of(joined(with_progress(small_run(run, 3))) + " <&- >&- 2>&-") == 1);  // its result has no place
  CHECK(records_of(run).size() >= 3);
  CHECK(status_of("train --help >&-") == 1);
}

TEST_CASE("a damaged line of the metrics costs a resumed run that line alone") {
  const TemporaryFolder folder;
  const std::filesystem::path run = folder.path() / "run";
  REQUIRE(run_program(joined(small_run(run, 3))).status == 0);
  const std::vector<Json> before = records_of(run);
  const std::string text = read_text(run / "metrics.jsonl");
  write_text(run / "metrics.jsonl", "not a record\n" + text + "{\"step\": 4, \"los");
  const Outcome resumed = run_program(joined(with_progress(small_run(run, 3))));
  REQUIRE(resumed.status == 0);
  CHECK(contains(resumed.err, "1 damaged line"));
  CHECK(records_of(run) == before);
}

TEST_CASE("a resumed run leaves nothing of a process that was killed while it wrote") {
  const TemporaryFolder folder;
  const std::filesystem::path run = folder.path() / "run";
  REQUIRE(run_program(joined(small_run(run, 3))).status == 0);
  for (const char* name : {"config.toml.77.new", "metrics.jsonl.4194303.new", "summary.json.1.new"})
    write_text(run / name, "half");
  write_text(run / "notes.new", "mine");
  REQUIRE(run_program(joined(small_run(run, 3))).status == 0);
  CHECK_FALSE(std::filesystem::exists(run / "config.toml.77.new"));
  CHECK_FALSE(std::filesystem::exists(run / "metrics.jsonl.4194303.new"));
  CHECK_FALSE(std::filesystem::exists(run / "summary.json.1.new"));
  CHECK(std::filesystem::exists(run / "notes.new"));
}

TEST_CASE("a run that is resumed at its end keeps what it said of its speed") {
  const TemporaryFolder folder;
  const std::filesystem::path run = folder.path() / "run";
  REQUIRE(run_program(joined(small_run(run, 3))).status == 0);
  const RunSpeed before = read_speed(run / "summary.json");
  CHECK(before.images_per_s > 0);
  CHECK(before.peak_bytes > 0);
  REQUIRE(run_program(joined(small_run(run, 3))).status == 0);
  const RunSpeed after = read_speed(run / "summary.json");
  CHECK(after.images_per_s == before.images_per_s);
  CHECK(after.peak_bytes == before.peak_bytes);
}

TEST_CASE("a run that left the finite numbers says where the way back is, and saves no ruins as the best") {
  const TemporaryFolder folder;
  const std::filesystem::path run = folder.path() / "run";
  const Outcome at_once = run_program(joined(small_run(run, 6)) + " --set optimizer.lr=1e30 --set train.eval_every=1");
  CHECK(at_once.status == 1);
  CHECK(contains(at_once.err, "start again"));
  if (has_checkpoint(run / "checkpoints" / "best")) {
    const Checkpoint best = load_checkpoint(run / "checkpoints" / "best");
    CHECK(std::isfinite(best.training.test_loss));
  }
  const std::filesystem::path later = folder.path() / "later";
  REQUIRE(run_program(joined(small_run(later, 3))).status == 0);
  const Outcome ruined =
      run_program(joined(small_run(later, 9)) + " --set optimizer.lr=1e30 --set train.checkpoint_every=100");
  CHECK(ruined.status == 1);
  CHECK(contains(ruined.err, "is that of step 3"));
  CHECK(contains(ruined.err, "--resume"));
  CHECK(run_program(joined(small_run(later, 9))).status == 0);
}

}  // namespace deq
