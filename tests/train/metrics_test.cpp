#include "train/metrics.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "tests/train/temporary_folder.h"

namespace deq {

using test::contains;
using test::read_text;
using test::TemporaryFolder;
using test::write_text;

namespace {

StepRecord record_of(std::int64_t step) {
  StepRecord record{
      .step = step, .epoch = step / 10, .loss = 1.0 / static_cast<double>(step + 3), .estimator = "shine"};
  record.forward.steps = 17;
  record.forward.status[0] = 64;
  return record;
}

void write_steps(const std::filesystem::path& file, std::int64_t resumed, std::int64_t from, std::int64_t to) {
  MetricsWriter writer(file, resumed);
  for (std::int64_t step = from; step <= to; ++step) {
    writer.write(record_of(step));
    if (step % 4 == 0) writer.write(EvaluationRecord{.step = step, .accuracy = 0.5});
  }
}

}  // namespace

TEST_CASE("a resumed file equals the file of an uninterrupted run") {
  const TemporaryFolder folder;
  write_steps(folder.path() / "whole.jsonl", -1, 1, 20);
  write_steps(folder.path() / "resumed.jsonl", -1, 1, 13);
  write_text(folder.path() / "resumed.jsonl", read_text(folder.path() / "resumed.jsonl") + "{\"step\": 14, \"lo");
  write_steps(folder.path() / "resumed.jsonl", 8, 9, 20);
  CHECK(read_text(folder.path() / "resumed.jsonl") == read_text(folder.path() / "whole.jsonl"));
}

TEST_CASE("a new run starts an empty file and a resumed one accepts a missing file") {
  const TemporaryFolder folder;
  write_steps(folder.path() / "m.jsonl", -1, 1, 5);
  write_steps(folder.path() / "m.jsonl", -1, 1, 2);
  write_steps(folder.path() / "n.jsonl", 0, 1, 2);
  CHECK(read_text(folder.path() / "m.jsonl") == read_text(folder.path() / "n.jsonl"));
}

TEST_CASE("slices of one solve join to the last with the steps and calls of all") {
  SolveReport report;
  report.resize(2);
  report.steps = {3, 5};
  report.residual = {0.5, 0.25};
  report.map_calls = 6;
  SolveMetrics first, last;
  first.add(report);
  report.steps = {1, 1};
  report.residual = {0.125, 0.125};
  report.map_calls = 2;
  last.add(report);
  const SolveMetrics whole = joined({first, last});
  CHECK(whole.steps == 5.0);
  CHECK(whole.calls == 8);
  CHECK(whole.residual == 0.125);
  CHECK(whole.samples == 2);
  CHECK_THROWS_AS((void)joined({}), Error);
}

TEST_CASE("the share of evaluations saved is that of all solves together") {
  SolveReport report;
  report.resize(4);
  SolveMetrics solves;
  CHECK(solves.evaluations_saved() == 0.0);
  report.map_calls = 10;
  report.sample_evaluations = 20;  // of 40
  solves.add(report, 3);
  report.map_calls = 5;
  report.sample_evaluations = 20;  // of 20
  report.is_out_of_time = true;
  solves.add(report);
  CHECK(solves.evaluations_saved() == doctest::Approx(20.0 / 60.0));
  CHECK(solves.out_of_time == 1);
  CHECK(solves.samples == 7);

  const TemporaryFolder folder;
  {
    MetricsWriter writer(folder.path() / "m.jsonl");
    writer.write(EvaluationRecord{.step = 1, .forward = solves});
  }
  const auto json = nlohmann::json::parse(read_text(folder.path() / "m.jsonl"));
  CHECK(json["forward"]["evaluations_saved"].get<double>() == doctest::Approx(1.0 / 3.0));
}

TEST_CASE("records hold the keys of the contract and write not-a-number as null") {
  const TemporaryFolder folder;
  {
    MetricsWriter writer(folder.path() / "m.jsonl");
    StepRecord record = record_of(7);
    record.loss = std::numeric_limits<double>::quiet_NaN();
    writer.write(record);
  }
  const auto json = nlohmann::json::parse(read_text(folder.path() / "m.jsonl"));
  for (const char* key : {"step", "epoch", "phase", "loss", "accuracy", "lr", "images_per_s", "forward", "backward"})
    CHECK_MESSAGE(json.contains(key), key);
  CHECK(json["phase"] == "equilibrium");
  CHECK(json["loss"].is_null());
  CHECK(json["forward"]["status"] == nlohmann::json{{"converged", 64}});
  for (const char* key : {"estimator", "calls", "residual", "fallback_fraction"})
    CHECK_MESSAGE(json["backward"].contains(key), key);
}

TEST_CASE("solve metrics are means over the samples of all batches") {
  SolveReport report;
  report.resize(2);
  report.steps = {4, 8};
  report.residual = {0.25, 0.75};
  report.status = {SolveStatus::converged, SolveStatus::max_steps};
  report.is_fallback = {1, 0};
  report.map_calls = 9;
  SolveMetrics metrics;
  metrics.add(report);
  metrics.add(report, 1);
  CHECK(metrics.samples == 3);
  CHECK(metrics.calls == 18);
  CHECK(metrics.steps == doctest::Approx(16.0 / 3));
  CHECK(metrics.residual == doctest::Approx(1.25 / 3));
  CHECK(metrics.fallback_fraction == doctest::Approx(2.0 / 3));
  CHECK(metrics.status[0] == 2);
  CHECK(metrics.status[1] == 1);
}

TEST_CASE("samples that are left out count in no mean and no status") {
  SolveReport report;
  report.resize(3);
  report.steps = {4, 8, 6};
  report.residual = {0.25, 0.75, 0.5};
  report.status = {SolveStatus::converged, SolveStatus::max_steps, SolveStatus::converged};
  SolveMetrics metrics;
  const std::vector<std::uint8_t> is_bad{0, 1};
  metrics.add(report, 3, is_bad);
  CHECK(metrics.samples == 2);
  CHECK(metrics.steps == 5);
  CHECK(metrics.residual == doctest::Approx(0.375));
  CHECK(metrics.status[0] == 2);
  CHECK(metrics.status[1] == 0);
  metrics.add(report, 2, std::vector<std::uint8_t>{1, 1});
  CHECK(metrics.samples == 2);
  CHECK(metrics.steps == 5);
}

TEST_CASE("a summary is replaced as a whole and is JSON") {
  const TemporaryFolder folder;
  write_summary(folder.path() / "summary.json", {.config_name = "a", .steps = 1});
  write_summary(folder.path() / "summary.json", {.config_name = "b", .steps = 2, .test_accuracy = 0.5});
  const auto json = nlohmann::json::parse(read_text(folder.path() / "summary.json"));
  CHECK(json["config"] == "b");
  CHECK(json["test_accuracy"] == 0.5);
  CHECK(json["test_loss"].is_null());
  CHECK(test::files_in(folder.path()) == std::vector<std::string>{"summary.json"});
}

TEST_CASE("metrics that cannot be written are an error that names the file") {
  CHECK(contains(test::message_of<Error>([] { const MetricsWriter writer("/nowhere/m.jsonl"); }), "/nowhere/m.jsonl"));
}

}  // namespace deq
