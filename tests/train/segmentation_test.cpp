#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <sstream>

#include "core/cpu/backend.h"
#include "data/image.h"
#include "data/npy.h"
#include "data/pixel_labels.h"
#include "data/safetensors.h"
#include "tests/train/program.h"
#include "tests/train/temporary_folder.h"
#include "train/class_colours.h"
#include "train/step.h"

// Segmentation through the program itself: train, evaluate, predict, and what is refused.

namespace deq {

using test::config_file;
using test::contains;
using test::is_one_line;
using test::Outcome;
using test::read_text;
using test::run_program;
using test::TemporaryFolder;
using test::write_text;

namespace {

using Folder = std::filesystem::path;
using Json = nlohmann::json;

/// Flags that make shapes-segmentation a matter of seconds: drawn scenes of 24 x 32 pixels, a small network.
std::string small_segmentation(const Folder& out, int steps) {
  std::string text = "train " + config_file("shapes-segmentation") + " --quiet --threads 1 --out " + out.string();
  for (const std::string setting :
       {"model.channels=[8,8]", "model.num_groups=4", "model.expansion=1", "data.image=[24,32]", "data.train_size=24",
        "data.test_size=5", "solver.max_steps=4", "train.batch_size=4", "train.unroll_steps=2", "train.log_every=1",
        "train.eval_every=4", "train.eval_batch_size=2"})
    text += " --set " + setting;
  return text + " --set train.total_steps=" + std::to_string(steps) +
         " --set train.pretrain_steps=" + std::to_string(steps / 2);
}

/// A run of eight steps, made once, and its exported scenes.
struct SmallRun {
  SmallRun() {
    const Outcome trained = run_program(small_segmentation(path, 8));
    INFO(trained.err);
    REQUIRE(trained.status == 0);
    REQUIRE(run_program("data export shapes-seg --count 3 --out " + (folder.path() / "pairs").string()).status == 0);
  }
  TemporaryFolder folder;
  Folder path = folder.path() / "run";
  Folder pairs = folder.path() / "pairs";
  std::string checkpoint = (path / "checkpoints" / "last").string();
};

const SmallRun& small_run() {
  static const SmallRun run;
  return run;
}

void check_refused(const std::string& arguments, const std::string& part) {
  const Outcome outcome = run_program(arguments);
  INFO("deq " << arguments << ": " << outcome.err);
  CHECK(outcome.status == 2);
  CHECK(is_one_line(outcome.err));
  CHECK(contains(outcome.err, part));
}

/// Steps, losses and scores of a run, without timings.
std::vector<std::string> curve_of(const Folder& run) {
  std::vector<std::string> out;
  std::istringstream lines(read_text(run / "metrics.jsonl"));
  for (std::string line; std::getline(lines, line);) {
    Json record = Json::parse(line);
    record.erase("images_per_s");
    out.push_back(record.dump());
  }
  return out;
}

TEST_CASE("a segmentation run logs mIoU and evaluates to what it logged") {
  const SmallRun& run = small_run();
  Json last;
  std::istringstream lines(read_text(run.path / "metrics.jsonl"));
  for (std::string line; std::getline(lines, line);)
    if (const Json record = Json::parse(line); record.contains("split")) last = record;
  REQUIRE(last.contains("miou"));
  const Outcome outcome = run_program("eval " + run.checkpoint + " --batch 2 --threads 1 --quiet --json");
  REQUIRE(outcome.status == 0);
  const Json result = Json::parse(outcome.out);
  CHECK(result["images"] == 5);
  for (const char* key : {"miou", "accuracy", "loss"})
    CHECK(result[key].get<double>() == doctest::Approx(last[key].get<double>()).epsilon(1e-12));
  CHECK(result["class_iou"].size() == 6);
  const Json summary = Json::parse(read_text(run.path / "summary.json"));
  CHECK(summary["test_miou"] == last["miou"]);
  CHECK(summary["best_miou"].get<double>() >= last["miou"].get<double>());
}

TEST_CASE("a segmentation run that is continued ends on the bits of one that was not") {
  const TemporaryFolder folder;
  const std::string command = small_segmentation(folder.path() / "run", 8);
  REQUIRE(run_program(command + " --max-steps 3").status == 0);
  REQUIRE(run_program(command + " --resume --set data.threads=3").status == 0);
  CHECK(curve_of(folder.path() / "run") == curve_of(small_run().path));
}

TEST_CASE("the scores of a batch of images have the order of the images' axes") {
  const SmallRun& run = small_run();
  const Folder x = run.folder.path() / "x.npy", y = run.folder.path() / "y.npy";
  Tensor images(DType::f32, {2, 3, 24, 32});
  for (std::size_t i = 0; i < images.data<float>().size(); ++i)
    images.data<float>()[i] = 0.1F * static_cast<float>(i % 17);
  write_npy(x, images);
  const Outcome outcome =
      run_program("predict " + run.checkpoint + " --tensor " + x.string() + " --save-logits " + y.string());
  REQUIRE(outcome.status == 0);
  const Tensor scores = read_npy(y);
  const LoadedModel loaded = load_model(run.checkpoint);
  // The same by rows of pixels, as the model gives them.
  CpuBackend backend;
  InferenceStep step(*loaded.model, backend, {2, 24, 32, 3}, loaded.model->config.solver);
  Tensor rows(DType::f32, {2, 24, 32, 3});
  for (std::int64_t n = 0; n < 2; ++n)
    for (std::int64_t c = 0; c < 3; ++c)
      for (std::int64_t i = 0; i < 24 * 32; ++i)
        rows.data<float>()[static_cast<std::size_t>((n * 24 * 32 + i) * 3 + c)] =
            images.data<float>()[static_cast<std::size_t>((n * 3 + c) * 24 * 32 + i)];
  const Tensor& expected = step.run(rows);
  const std::int64_t high = expected.shape()[1], wide = expected.shape()[2], classes = expected.shape()[3];
  REQUIRE(scores.shape() == Shape{2, classes, high, wide});
  for (std::int64_t n = 0; n < 2; ++n)
    for (std::int64_t k = 0; k < classes; ++k)
      for (std::int64_t i = 0; i < high * wide; ++i)
        REQUIRE(scores.data<float>()[static_cast<std::size_t>((n * classes + k) * high * wide + i)] ==
                doctest::Approx(expected.data<float>()[static_cast<std::size_t>((n * high * wide + i) * classes + k)]));
}

TEST_CASE("predict writes a label map and an overlay of each image's size, and says what the colours mean") {
  const SmallRun& run = small_run();
  const Folder out = run.folder.path() / "predictions";
  const Folder odd = run.folder.path() / "odd.png";
  write_png(odd, resized(read_image(run.pairs / "images/scene-00000.png"), 37, 91));
  const Outcome outcome =
      run_program("predict " + run.checkpoint + " " + (run.pairs / "images/scene-00001.png").string() + " " +
                  odd.string() + " " + odd.string() + " --json --save-dir " + out.string());
  REQUIRE(outcome.status == 0);
  const Json all = Json::parse(outcome.out);
  REQUIRE(all.size() == 3);
  CHECK(all[2]["labels"] == (out / "odd-2-labels.png").string());
  const PixelLabels labels = read_pixel_labels(all[1]["labels"].get<std::string>());
  const Image overlay = read_image(all[1]["overlay"].get<std::string>());
  CHECK(labels.height == 37);
  CHECK(labels.width == 91);
  CHECK(overlay.height == 37);
  CHECK(overlay.width == 91);
  double shares = 0;
  for (const Json& entry : all[1]["classes"]) {
    const auto count = std::ranges::count(labels.labels, entry["class"].get<int>());
    CHECK(entry["share"].get<double>() == doctest::Approx(static_cast<double>(count) / (37 * 91)));
    CHECK(entry["colour"] == colour_text(class_colour(entry["class"].get<int>())));
    shares += entry["share"].get<double>();
  }
  CHECK(shares == doctest::Approx(1));
  CHECK(all[1]["solver"].contains("residual"));
  check_refused("predict " + run.checkpoint + " " + odd.string() + " --sheet x.png", "--save-dir");
}

TEST_CASE("an unreadable image among several does not keep the others from being segmented") {
  const SmallRun& run = small_run();
  const Folder bad = run.folder.path() / "bad.png";
  write_text(bad, "no image");
  const std::string good = (run.pairs / "images/scene-00000.png").string();
  const std::string save = " --save-dir " + (run.folder.path() / "some").string();
  const Outcome outcome = run_program("predict " + run.checkpoint + " " + bad.string() + " " + good + save);
  CHECK(outcome.status == 1);
  CHECK(contains(outcome.err, "bad.png"));
  CHECK(contains(outcome.out, "scene-00000-overlay.png"));
}

TEST_CASE("exported scenes train and evaluate as a folder of pairs, damaged ones are skipped and counted") {
  const TemporaryFolder folder;
  const Folder data = folder.path() / "data";
  REQUIRE(run_program("data export shapes-seg --split train --count 12 --out " + data.string()).status == 0);
  std::filesystem::resize_file(data / "images/scene-00003.png", 200);
  const std::string flags = " --set data.name=segmentation_folder --set data.image=[48,64] --data " + data.string();
  const Outcome outcome = run_program(small_segmentation(folder.path() / "run", 6) + flags);
  INFO(outcome.err);
  CHECK(outcome.status == 0);
  const Json summary = Json::parse(read_text(folder.path() / "run/summary.json"));
  CHECK(summary["bad_files"] == 1);  // scenes are the same in both splits, the test split ends before the damaged one
  CHECK(summary.contains("test_miou"));
  check_refused(small_segmentation(folder.path() / "strict", 6) + flags + " --set data.bad_files=error",
                "scene-00003.png: damaged image");
  write_pixel_labels(data / "labels/scene-00001.png", PixelLabels(48, 64, 6));
  check_refused(small_segmentation(folder.path() / "wrong", 6) + flags, "label 6 at row 0, column 0 is not one of 6");
  write_pixel_labels(data / "labels/scene-00001.png", PixelLabels(48, 63, 0));
  check_refused(small_segmentation(folder.path() / "size", 6) + flags, "48 x 63 labels");
  std::filesystem::remove(data / "labels/scene-00001.png");
  check_refused(small_segmentation(folder.path() / "missing", 6) + flags, "has no labels");
  write_text(data / "train.txt", "");
  check_refused(small_segmentation(folder.path() / "empty", 6) + flags, "train.txt: lists no pair");
}

TEST_CASE("audit compares gradients of a segmentation model, on its data and on tensors, and saves them") {
  const SmallRun& run = small_run();
  const Folder saved = run.folder.path() / "gradients";
  const std::string estimators = " --estimators exact,shine,shine-refine-2,jfb,phantom-2,adjoint-broyden-opa";
  const Outcome outcome = run_program("audit " + run.checkpoint + estimators +
                                      " --batch 2 --tol 1e-4 --max-steps 60 --differences 1 --json --quiet" +
                                      " --save-gradients " + saved.string());
  INFO(outcome.err);
  REQUIRE(outcome.status == 0);
  const Json audit = Json::parse(outcome.out);
  REQUIRE(audit["estimators"].size() == 6);
  for (const Json& row : audit["estimators"]) {
    CAPTURE(row.dump());
    for (const auto& [key, value] : row.items()) CHECK((key == "name" || value.is_number()));
    const auto gradients = read_safetensors(saved / (row["name"].get<std::string>() + ".safetensors")).tensors;
    CHECK(gradients.contains("loss"));
    CHECK(gradients.contains("last_layer.3.weight"));
  }

  // The same scenes as tensors: labels at the images' size, the ignored ones by the label of the files or by -1.
  constexpr std::int64_t kHeight = 24, kWidth = 32;
  Tensor x(DType::f32, {2, 3, kHeight, kWidth}), y(DType::i64, {2, kHeight, kWidth});
  float angle = 0.3F;
  for (float& value : x.data<float>()) value = std::sin(angle), angle += 1.7F;
  std::int64_t count = 0;
  for (std::int64_t& label : y.data<std::int64_t>()) label = count++ % 7 == 6 ? 255 : count % 6;
  const std::string images = (run.folder.path() / "x.npy").string(), labels = (run.folder.path() / "y.npy").string();
  write_npy(images, x);
  write_npy(labels, y);
  const std::string tensors = "audit " + run.checkpoint + " --tensor " + images + " --labels " + labels +
                              " --estimators exact,jfb --tol 1e-3 --max-steps 20 --differences 0 --json --quiet";
  const Outcome first = run_program(tensors);
  INFO(first.err);
  REQUIRE(first.status == 0);
  for (std::int64_t& label : y.data<std::int64_t>()) label = label == 255 ? -1 : label;
  write_npy(labels, y);
  const auto loss_of = [](const Outcome& run_of) { return Json::parse(run_of.out)["estimators"][0]["loss"]; };
  CHECK(loss_of(first) == loss_of(run_program(tensors)));
  y.data<std::int64_t>()[5] = 6;
  write_npy(labels, y);
  check_refused(tensors, "label 5 is 6");
  write_npy(labels, Tensor(DType::i64, {2, kHeight, kWidth + 1}));
  check_refused(tensors, "[2,24,32]");
}

TEST_CASE("keys of segmentation that do not fit are refused before anything is written") {
  const TemporaryFolder folder;
  const std::string base = small_segmentation(folder.path() / "run", 4) + " --set ";
  check_refused(base + "data.class_weights=[1,2]", "'data.class_weights' has 2 entries");
  check_refused(base + "data.scale=[2,1]", "'data.scale'");
  check_refused(base + "data.label_map=[0,9]", "names class 9");
  check_refused(base + "data.eval_image=[25,32]", "'data.eval_image'");
  check_refused(base + "model.classes=5", "model.classes is 5");
  check_refused(base + "data.name=shapes --set model.classes=10 --set data.image=[32,32]", "one class an image");
  CHECK_FALSE(std::filesystem::exists(folder.path() / "run"));
}

}  // namespace
}  // namespace deq
