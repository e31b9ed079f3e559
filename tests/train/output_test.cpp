#include <doctest/doctest.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "data/npy.h"
#include "tests/full_disk.h"
#include "tests/train/program.h"
#include "tests/train/temporary_folder.h"
#include "tests/train/tiny_run.h"
#include "train/durable_file.h"

// Where the results of a command go, through the program itself: what cannot be written leaves nothing half-written,
// and what could not be a place for results is refused before the work.

namespace deq {

using test::check_refused;
using test::config_file;
using test::contains;
using test::files_in;
using test::FullDisk;
using test::joined;
using test::Outcome;
using test::read_text;
using test::run_program;
using test::small_run;
using test::TemporaryFolder;
using test::tiny_run;
using test::write_text;

namespace {

using Names = std::vector<std::string>;

/// Runs the program with files limited to `bytes` each. @returns exit status
int status_on_full_disk(const std::string& arguments, rlim_t bytes) {
  const FullDisk disk(bytes);
  return run_program(arguments).status;
}

/// `count` images for the model of tiny_run(), [N,C,H,W], with labels 0 beside them in `labels`.
void write_images(const std::filesystem::path& images, const std::filesystem::path& labels, std::int64_t count) {
  write_npy(images, Tensor(DType::f32, {count, 3, 32, 32}));
  write_npy(labels, Tensor(DType::i64, {count}));
}

std::string audit_of(const std::filesystem::path& folder) {
  return "audit " + tiny_run().checkpoint + " --tensor " + (folder / "x.npy").string() + " --labels " +
         (folder / "l.npy").string() + " --estimators jfb --differences 0 --max-steps 4 --quiet";
}

}  // namespace

TEST_CASE("a full disk leaves no half-written result and no debris") {
  const TemporaryFolder folder;
  const std::string at = folder.path().string();
  const std::string checkpoint = tiny_run().checkpoint;
  write_images(folder.path() / "x.npy", folder.path() / "l.npy", 2);
  write_text(folder.path() / "y.npy", "as it was");
  const std::string predict = "predict " + checkpoint + " --quiet ";
  CHECK(status_on_full_disk(predict + "--tensor " + at + "/x.npy --save-logits " + at + "/y.npy", 150) == 1);
  CHECK(read_text(folder.path() / "y.npy") == "as it was");
  CHECK(status_on_full_disk(predict + tiny_run().images[0] + " --sheet " + at + "/sheet.png", 500) == 1);
  CHECK(status_on_full_disk("data export shapes --count 1 --out " + at + "/images", 100) == 1);
  CHECK(status_on_full_disk(audit_of(folder.path()) + " --save-gradients " + at + "/g", 1000) == 1);
  CHECK(status_on_full_disk("new " + at + "/mine", 1000) == 1);
  CHECK(files_in(folder.path()) == Names{"g", "images", "l.npy", "x.npy", "y.npy"});
  CHECK(files_in(folder.path() / "images").empty());
  CHECK(files_in(folder.path() / "g").empty());
}

TEST_CASE("a run whose first checkpoint does not fit leaves none") {
  const TemporaryFolder folder;
  // config.toml takes about 2,000 bytes, the model 30,000.
  CHECK(status_on_full_disk(joined(small_run(folder.path() / "run", 3)), 10000) == 1);
  CHECK(files_in(folder.path() / "run") == Names{"checkpoints", "config.toml", "metrics.jsonl"});
  CHECK(files_in(folder.path() / "run" / "checkpoints").empty());
}

TEST_CASE("a text is written to what a link points at, and into a device") {
  const TemporaryFolder folder;
  std::filesystem::create_directory(folder.path() / "site");
  std::filesystem::create_symlink("site/curves.svg", folder.path() / "link.svg");
  REQUIRE(run_program("plot " + tiny_run().path.string() + " -o " + (folder.path() / "link.svg").string()).status == 0);
  CHECK(std::filesystem::is_symlink(folder.path() / "link.svg"));
  CHECK(contains(read_text(folder.path() / "site" / "curves.svg"), "<svg"));
  CHECK(files_in(folder.path()) == Names{"link.svg", "site"});
  CHECK(files_in(folder.path() / "site") == Names{"curves.svg"});
  std::filesystem::create_symlink("/dev/null", folder.path() / "null");
  write_durably(folder.path() / "null", "text");
  CHECK(std::filesystem::is_symlink(folder.path() / "null"));
  CHECK(std::filesystem::is_character_file("/dev/null"));
}

TEST_CASE("a file is no folder for results, and a folder no file") {
  const TemporaryFolder folder;
  const std::string file = (folder.path() / "file").string(), at = folder.path().string();
  write_text(file, "mine");
  write_images(folder.path() / "x.npy", folder.path() / "l.npy", 2);
  const std::string checkpoint = tiny_run().checkpoint, image = tiny_run().images[0];
  std::vector<std::string> train = small_run(file, 3);
  check_refused(joined(train), "file: cannot be made: ");
  check_refused("data export shapes --count 1 --out " + file, "file: cannot be made: ");
  check_refused("data export shapes-seg --count 1 --out " + file + "/x", "cannot be made: ");
  check_refused("new " + file + "/mine", "cannot be made: ");
  check_refused(audit_of(folder.path()) + " --save-gradients " + file, "give another --save-gradients");
  check_refused(audit_of(folder.path()) + " --plot " + at + "/nowhere/x.svg", "--plot: the folder of ");
  check_refused("predict " + checkpoint + " " + image + " --sheet " + at, "--sheet: '" + at + "' is a folder");
  check_refused("predict " + checkpoint + " --tensor " + at + "/x.npy --save-logits " + at + "/nowhere/y.npy",
                "--save-logits: the folder of ");
  CHECK(files_in(folder.path()) == Names{"file", "l.npy", "x.npy"});
  CHECK(read_text(file) == "mine");
}

TEST_CASE("a place that cannot be written to is refused before the work") {
  const TemporaryFolder folder;
  write_images(folder.path() / "x.npy", folder.path() / "l.npy", 2);
  const std::string checkpoint = tiny_run().checkpoint, at = folder.path().string();
  const std::string nowhere = "/proc";                            // nobody makes files there, not even root
  const std::string too_long = at + "/" + std::string(250, 'y');  // a name, but none that a file could have meanwhile
  check_refused("plot " + tiny_run().path.string() + " -o " + nowhere + "/x.svg", "--out: '/proc/x.svg' cannot be ");
  check_refused("plot " + tiny_run().path.string() + " -o " + too_long + ".html", "' cannot be written: File name");
  check_refused(audit_of(folder.path()) + " --plot " + nowhere + "/x.svg", "--plot: '/proc/x.svg' cannot be written: ");
  check_refused(audit_of(folder.path()) + " --save-gradients " + nowhere, "give another --save-gradients");
  check_refused("predict " + checkpoint + " " + tiny_run().images[0] + " --sheet /proc/x.png",
                "--sheet: '/proc/x.png' cannot be written: ");
  check_refused("predict " + checkpoint + " --tensor " + at + "/x.npy --save-logits /proc/y.npy",
                "--save-logits: '/proc/y.npy' cannot be written: ");
  check_refused(joined(small_run(nowhere, 3)), "/proc: a file in it cannot be written: ");
  check_refused("tune " + config_file("tune-wdbc") + " --out " + nowhere, "/proc: a file in it cannot be written: ");
  CHECK(files_in(folder.path()) == Names{"l.npy", "x.npy"});
}

TEST_CASE("an empty text is refused wherever one is taken, with what was expected") {
  check_refused("info --device ''", "--device: is empty, expected: cpu, cuda, cuda:N or reference");
  check_refused("tune c.toml --device ''", "--device: is empty");
  check_refused("eval ''", "checkpoint: is empty, expected: checkpoint folder or model.safetensors");
  check_refused("eval c --data ''", "--data: is empty, expected: folder with the data");
  check_refused("eval c --split ''", "--split: ");
  check_refused("predict c x.png ''", "images: is empty");
  check_refused("predict c x.png --sheet ''", "--sheet: is empty");
  check_refused("predict c x.png --save-dir ''", "--save-dir: is empty");
  check_refused("predict c --tensor x.npy --save-logits ''", "--save-logits: is empty");
  check_refused("audit c --estimators ''", "--estimators: is empty");
  check_refused("audit c --plot ''", "--plot: is empty");
  check_refused("bench c.toml --estimators ''", "--estimators: is empty");
  check_refused("tune c.toml --method ''", "--method: is empty, expected: methods, separated by commas: ");
  check_refused("data fetch cifar10 --from ''", "--from: is empty, expected: URL");
  check_refused("plot ''", "runs: is empty");
  check_refused("new ''", "name: is empty");
  for (const char* command : {"train c.toml", "data export shapes",
                              "import mdeq --config c.toml --weights w.safetensors", "plot r", "tune c"})
    check_refused(std::string(command) + " --out ''", "--out: is empty");
}

TEST_CASE("a checkpoint is read from files and folders, not from pipes, devices and loops of links") {
  const TemporaryFolder folder;
  const std::string loop = (folder.path() / "loop").string(), pipe = (folder.path() / "pipe").string();
  std::filesystem::create_symlink("loop", loop);
  REQUIRE(std::system(("mkfifo " + pipe).c_str()) == 0);  // NOLINT: a fixed program on a path of this test
  for (const std::string command : {"info ", "eval ", "audit "}) {
    check_refused(command + loop, loop + ": cannot be read: ");
    check_refused(command + pipe, pipe + ": is neither a file nor a folder");
    check_refused(command + "/dev/null", "/dev/null: is neither a file nor a folder");
  }
  check_refused("predict " + loop + " x.png", loop + ": cannot be read: ");
  check_refused("info ''", "is empty");
}

}  // namespace deq
