#include <doctest/doctest.h>

#include <array>
#include <nlohmann/json.hpp>
#include <sstream>

#include "data/image.h"
#include "tests/train/program.h"
#include "tests/train/temporary_folder.h"

// Training on class folders that are decoded on demand, through the program itself.

namespace deq {

using test::contains;
using test::joined;
using test::Outcome;
using test::read_text;
using test::run_program;
using test::small_run;
using test::TemporaryFolder;
using test::write_text;

namespace {

using Folder = std::filesystem::path;
using Json = nlohmann::json;

/// Drawn shapes as class folders train/ and val/, in several sizes; one file of train/ is cut off, one is text.
struct Folders {
  Folders() {
    const std::vector<std::array<std::string, 3>> parts{{"train", "train", "40"}, {"test", "val", "20"}};
    for (const auto& [split, part, count] : parts) {
      const Folder flat = folder.path() / "flat" / part;
      REQUIRE(
          run_program("data export shapes --split " + split + " --count " + count + " --out " + flat.string()).status ==
          0);
      int side = 30;
      for (const auto& entry : std::filesystem::directory_iterator(flat)) {
        const std::string name = entry.path().filename().string();
        const Folder to = data / part / name.substr(0, name.find('-'));
        std::filesystem::create_directories(to);
        write_png(to / name, resized(read_image(entry.path()), side, 75 - side));
        side = 30 + (side + 7) % 20;
      }
    }
    std::filesystem::resize_file(data / "train/circle/circle-00000.png", 300);
    write_text(data / "train/ring/note.txt", "no image");
  }

  /// Trains six steps; @returns the records of its steps without timings
  [[nodiscard]] std::vector<std::string> train(const Folder& out, const std::string& more) const {
    const Outcome outcome = run_program(command(out) + more);
    INFO(outcome.err);
    CHECK(outcome.status == 0);
    std::vector<std::string> records;
    std::istringstream lines(read_text(out / "metrics.jsonl"));
    for (std::string line; std::getline(lines, line);) {
      Json record = Json::parse(line);
      record.erase("images_per_s");
      records.push_back(record.dump());
    }
    return records;
  }
  [[nodiscard]] std::string command(const Folder& out) const {
    return joined(small_run(out, 6)) + " --data " + data.string() +
           " --set data.name=imagenet --set data.train_size=0 --set data.image=[24,24]";
  }

  TemporaryFolder folder;
  Folder data = folder.path() / "data";
};

TEST_CASE("training on class folders depends neither on loader threads nor on an interruption; bad files are counted") {
  const Folders folders;
  const Folder runs = folders.folder.path();
  const std::string longer = " --set train.batch_size=16";  // two epochs: every bad file is met
  const auto one = folders.train(runs / "one", longer + " --set data.threads=1");
  CHECK(folders.train(runs / "three", longer + " --set data.threads=3") == one);
  CHECK(folders.train(runs / "parts", longer + " --max-steps 2").size() < one.size());
  CHECK(folders.train(runs / "parts", longer + " --set data.threads=2") == one);
  CHECK(Json::parse(read_text(runs / "one/summary.json"))["bad_files"] == 2);
  CHECK(contains(read_text(runs / "one/metrics.jsonl"), "\"bad_images\":"));

  const Outcome strict = run_program(folders.command(runs / "strict") + longer + " --set data.bad_files=error");
  CHECK(strict.status == 2);
  CHECK(contains(strict.err, "data.bad_files"));

  const std::string checkpoint = (runs / "one/checkpoints/last").string();
  const Outcome evaluated = run_program("eval " + checkpoint + " --data " + folders.data.string() + " --quiet --json");
  CHECK(Json::parse(evaluated.out)["images"] == 10);  // data.test_size
  const Outcome answered =
      run_program("predict " + checkpoint + " " + (folders.data / "val/ring/ring-00004.png").string());
  CHECK(answered.status == 0);
}

TEST_CASE("an evaluation counts no solve of an image that could not be read") {
  const Folders folders;
  const Folder run = folders.folder.path() / "run";
  (void)folders.train(run, "");
  write_text(folders.data / "val/circle/a.png", "no image");  // the first of ten
  const std::string eval = "eval " + (run / "checkpoints/last").string() + " --quiet --json --data ";
  const Json answer = Json::parse(run_program(eval + folders.data.string()).out);
  CHECK(answer["images"] == 9);
  CHECK(answer["bad_images"] == 1);
  int solved = 0;
  for (const auto& [name, count] : answer["forward"]["status"].items()) solved += count.get<int>();
  CHECK(solved == 9);
}

TEST_CASE("a set of grey images trains as colour") {
  const TemporaryFolder folder;
  std::string rows;
  for (int image = 0; image < 40; ++image) {
    for (int pixel = 0; pixel < 64; ++pixel) rows += std::to_string((image * pixel) % 17) + ",";
    rows += std::to_string(image % 10) + "\n";
  }
  for (const char* name : {"optdigits.tra", "optdigits.tes"}) write_text(folder.path() / name, rows);
  const Folder out = folder.path() / "run";
  const Outcome outcome = run_program(joined(small_run(out, 3)) + " --set data.name=digits --set data.image=[8,8]" +
                                      " --data " + folder.path().string() + " --json");
  INFO(outcome.err);
  REQUIRE(outcome.status == 0);
  CHECK(Json::parse(outcome.out)["steps"] == 3);
}

TEST_CASE("a dry run knows the size of ImageNet without its files, wherever it is started, and counts what is there") {
  const Folders folders;
  const std::filesystem::path here = std::filesystem::current_path();
  std::filesystem::current_path(folders.data);  // a folder called train in it must not be mistaken for the data
  const std::string plan = "train " + test::config_file("imagenet-mdeq-small") + " --dry-run --json --quiet";
  const Outcome without = run_program(plan);
  const Outcome with = run_program(plan + " --set model.classes=10 --data .");
  std::filesystem::current_path(here);
  CHECK(Json::parse(without.out)["dataset"]["train"] == 1281167);
  CHECK(Json::parse(with.out)["dataset"]["train"] == 41);
}

}  // namespace
}  // namespace deq
