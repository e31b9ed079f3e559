#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "data/npy.h"
#include "tests/train/program.h"
#include "tests/train/temporary_folder.h"
#include "tests/train/tiny_run.h"
#include "train/checkpoint.h"
#include "train/metrics.h"

// What eval, predict and audit answer, through the program itself.

namespace deq {

using test::check_refused;
using test::contains;
using test::Outcome;
using test::run_program;
using test::TemporaryFolder;
using test::tiny_run;

TEST_CASE("names of files that are not UTF-8 do not cost the JSON answer") {
  const Outcome outcome =
      run_program("predict " + tiny_run().checkpoint + " --json 'nope\xff.png' " + tiny_run().images[0]);
  CHECK(outcome.status == 1);
  const auto json = nlohmann::json::parse(outcome.out);
  REQUIRE(json.size() == 2);
  CHECK(contains(json[0]["file"], "nope\xEF\xBF\xBD.png"));
  CHECK(json[0].contains("error"));
  CHECK(json[1]["top"].size() == 5);
  RunSummary summary;
  summary.config_name = "caf\xe9";
  CHECK(contains(summary_json(summary), "caf\xEF\xBF\xBD"));
}

TEST_CASE("control characters in names do not reach the terminal with the answer") {
  const TemporaryFolder folder;
  const std::string image = (folder.path() / "a\x1b[31m\n.png").string();
  std::filesystem::copy_file(tiny_run().images[0], image);
  const Outcome predicted = run_program("predict " + tiny_run().checkpoint + " '" + image + "'");
  REQUIRE(predicted.status == 0);
  CHECK(contains(predicted.out, "a\\x1b[31m\\n.png:  "));
  Checkpoint checkpoint;
  checkpoint.class_names = {"a", "b"};
  checkpoint.training.step = 1;
  checkpoint.training.phase = std::string("e\0q", 3);
  checkpoint.model = {{"st\x1b]0;em.weight", Tensor(DType::f32, {4})}};
  save_checkpoint(folder.path() / "c\x1b", checkpoint);
  const Outcome info = run_program("info '" + (folder.path() / "c\x1b").string() + "'");
  REQUIRE(info.status == 0);
  for (const char* shown : {"c\\x1b\n", "st\\x1b]0;em  4  ", "phase e\\x00q"}) CHECK(contains(info.out, shown));
  for (const Outcome* outcome : {&predicted, &info}) CHECK_FALSE(contains(outcome->out + outcome->err, "\x1b"));
}

TEST_CASE("predict tells about the logits of a tensor as JSON") {
  const TemporaryFolder folder;
  const std::string x = (folder.path() / "x.npy").string(), y = (folder.path() / "y.npy").string();
  write_npy(x, Tensor(DType::f32, {3, 3, 32, 32}));
  const Outcome outcome =
      run_program("predict " + tiny_run().checkpoint + " --tensor " + x + " --save-logits " + y + " --json");
  REQUIRE(outcome.status == 0);
  const auto json = nlohmann::json::parse(outcome.out);
  CHECK(json["images"] == 3);
  CHECK(json["classes"] == 10);
  CHECK(json["logits"] == y);
  CHECK(json["solver"]["steps_mean"] > 0);
  CHECK(json["solver"].contains("residual_mean"));
  CHECK_FALSE(json["solver"]["status"].empty());
  CHECK(read_npy(y).shape() == Shape{3, 10});
}

TEST_CASE("eval computes no more images than there are, whatever the batch") {
  const Outcome all = run_program("eval " + tiny_run().checkpoint + " --batch 1048576 --json --quiet");
  INFO(all.err);
  REQUIRE(all.status == 0);  // a million images would not fit into memory
  CHECK(nlohmann::json::parse(all.out)["images"] == 10);
  const Outcome some = run_program("eval " + tiny_run().checkpoint + " --batch 1048576 --limit 3 --json --quiet");
  REQUIRE(some.status == 0);
  CHECK(nlohmann::json::parse(some.out)["images"] == 3);
}

TEST_CASE("audit says which images of a tensor it leaves out, and refuses one without images") {
  const TemporaryFolder folder;
  const std::string x = (folder.path() / "x.npy").string(), labels = (folder.path() / "l.npy").string();
  const std::string audit = "audit " + tiny_run().checkpoint + " --tensor " + x + " --labels " + labels +
                            " --estimators jfb --differences 0 --max-steps 4 --quiet";
  write_npy(x, Tensor(DType::f32, {4, 3, 32, 32}));
  write_npy(labels, Tensor(DType::i64, {4}));
  const std::string left_out = "warning: the last 1 of 4 images are left out: they fill no batch of 3";
  CHECK(contains(run_program(audit + " --batch 3").err, left_out));
  CHECK_FALSE(contains(run_program(audit + " --batch 2").err, "left out"));
  CHECK_FALSE(contains(run_program(audit + " --batch 3 --batches 1").err, "left out"));
  write_npy(x, Tensor(DType::f32, {0, 3, 32, 32}));
  write_npy(labels, Tensor(DType::i64, {0}));
  check_refused(audit, x + ": holds no image");
}

}  // namespace deq
