#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "tests/train/program.h"
#include "tests/train/temporary_folder.h"
#include "tests/train/tiny_run.h"
#include "train/config_keys.h"
#include "train/run_figure.h"
#include "train/run_history.h"
#include "train/run_report.h"
#include "train/smooth.h"

namespace deq {

using test::check_refused;
using test::contains;
using test::is_one_line;
using test::message_of;
using test::Outcome;
using test::read_text;
using test::run_program;
using test::TemporaryFolder;
using test::write_text;

namespace {

constexpr int kSteps = 60;

/// Writes what a run of kSteps steps leaves, the first third of them pre-training. @param rate of the loss's decay
void write_run(const std::filesystem::path& folder, double rate, const std::string& estimator) {
  std::filesystem::create_directories(folder);
  MetricsWriter writer(folder / "metrics.jsonl");
  for (int step = 1; step <= kSteps; ++step) {
    StepRecord record{.step = step, .is_pretraining = step <= kSteps / 3, .loss = 2.3 * std::exp(-rate * step)};
    record.accuracy = 0.9 - 0.3 * record.loss;
    record.lr = 1e-3;
    record.images_per_s = 50 + step % 7;
    record.forward.steps = record.is_pretraining ? 5 : 12;
    if (!record.is_pretraining) record.forward.residual = 0.1 / step;
    record.estimator = record.is_pretraining ? "unrolled-5" : estimator;
    if (estimator == "exact" && !record.is_pretraining) {
      record.backward.calls = 9;
      record.backward.residual = 1e-3;
    }
    writer.write(record);
    if (step % 20 != 0) continue;
    EvaluationRecord evaluation{.step = step, .loss = record.loss + 0.1, .accuracy = 0.2 + 0.01 * step};
    evaluation.forward.steps = 12;
    evaluation.forward.residual = 0.05;
    evaluation.spectral = {.mean = 0.9, .max = 1.1, .change = 0.01, .samples = 4};
    writer.write(evaluation);
  }
}

void write_end(const std::filesystem::path& folder, const Config& config) {
  write_text(folder / "config.toml", write_config(config));
  write_summary(folder / "summary.json", {.config_name = "small",
                                          .steps = kSteps,
                                          .total_steps = kSteps,
                                          .parameters = 158890,
                                          .peak_bytes = 5 << 20,
                                          .seconds = 4000,
                                          .train_loss = 0.5,
                                          .test_accuracy = 0.8,
                                          .best_accuracy = 0.8125,
                                          .best_step = 40,
                                          .device = "cpu"});
}

std::vector<std::string> titles(const Figure& figure) {
  std::vector<std::string> out;
  for (const Chart& panel : figure.panels) out.push_back(panel.title);
  return out;
}

const Chart& panel_called(const Figure& figure, const std::string& title) {
  for (const Chart& panel : figure.panels)
    if (panel.title == title) return panel;
  FAIL("no panel called ", title);
  return figure.panels.front();
}

const std::string& value_of(const std::vector<RunFact>& facts, const std::string& name, std::size_t run) {
  for (const RunFact& fact : facts)
    if (fact.name == name) return fact.values.at(run);
  FAIL("no line called ", name);
  return facts.front().name;
}

}  // namespace

TEST_CASE("a run is read back as it was written") {
  const TemporaryFolder folder;
  write_run(folder.path() / "fast", 0.05, "exact");
  const RunHistory run = read_run_history(folder.path() / "fast");
  CHECK(run.name == "fast");
  CHECK(run.notes.empty());
  REQUIRE(run.training.size() == kSteps);
  REQUIRE(run.evaluations.size() == 3);
  CHECK(run.training[0].is_pretraining);
  CHECK(std::isnan(run.training[0].forward.residual));
  CHECK(run.training[59].forward.residual == 0.1 / 60);
  CHECK(run.training[59].backward.calls == 9);
  CHECK(run.evaluations[1].step == 40);
  CHECK(run.evaluations[1].accuracy == 0.2 + 0.01 * 40);
  CHECK(run.evaluations[1].spectral.max == 1.1);
  CHECK(std::isnan(run.evaluations[1].miou));
  CHECK(estimators_of(run) == std::vector<std::string>{"unrolled-5", "exact"});
}

TEST_CASE("panels without a value are left out, and several runs lie over each other by name") {
  const TemporaryFolder folder;
  write_run(folder.path() / "plain", 0.02, "shine");
  write_run(folder.path() / "fast", 0.05, "exact");
  const std::vector<std::filesystem::path> paths = {folder.path() / "plain", folder.path() / "fast"};
  const std::vector<RunHistory> runs = read_run_histories(paths);
  const Figure one = run_figure(std::span(runs).first(1));
  CHECK(titles(one) == std::vector<std::string>{"Loss", "Accuracy", "Residual of the forward solve",
                                                "Steps of the forward solve", "Spectral radius of the Jacobian at z*",
                                                "Learning rate", "Speed of training"});
  const Chart& loss = panel_called(one, "Loss");
  REQUIRE(loss.series.size() == 3);
  CHECK(loss.series[0].is_faint);
  CHECK(loss.series[1].name == "training");
  CHECK(loss.series[2].name == "test");
  REQUIRE(loss.marks.size() == 1);
  CHECK(loss.marks[0].x == kSteps / 3 + 1);

  const Figure both = run_figure(runs);
  CHECK(panel_called(both, "Residual of the backward solve").series.back().name == "fast");
  CHECK(panel_called(both, "Cost of the gradient estimator").series.size() == 4);
  std::vector<std::string> names;
  for (const ChartSeries& series : panel_called(both, "Accuracy").series) names.push_back(series.name);
  CHECK(names == std::vector<std::string>{"plain, training", "plain, test", "fast, training", "fast, test"});
}

TEST_CASE("the running mean stays inside a phase and skips gaps") {
  const double gap = std::numeric_limits<double>::quiet_NaN();
  const std::array<double, 6> values = {1, 3, 5, 10, gap, 1000};
  const std::array<int, 6> phase = {0, 0, 0, 1, 1, 1};
  const std::vector<double> mean = running_mean(values, phase, 1, false);
  CHECK(mean[0] == 2);
  CHECK(mean[1] == 3);
  CHECK(mean[2] == 4);
  CHECK(mean[3] == 10);
  CHECK(std::isnan(mean[4]));
  CHECK(running_mean(values, phase, 2, true)[3] == doctest::Approx(100));
}

TEST_CASE("a thinned line keeps its ends and its extreme values") {
  std::vector<double> values(100000);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = std::sin(1e-3 * static_cast<double>(i));
  values[77777] = 50;
  values[12345] = -50;
  const std::vector<std::size_t> kept = thinned(values, 3000);
  CHECK(kept.size() <= 3001);
  CHECK(kept.front() == 0);
  CHECK(kept.back() == values.size() - 1);
  for (const std::size_t extreme : {77777UL, 12345UL}) CHECK(std::binary_search(kept.begin(), kept.end(), extreme));
  CHECK(thinned(std::span(values).first(3000), 3000).size() == 3000);
}

TEST_CASE("the table tells what was reached and the configuration's differences") {
  const TemporaryFolder folder;
  const std::vector<std::filesystem::path> paths = {folder.path() / "plain", folder.path() / "fast"};
  Config config;
  for (const std::filesystem::path& path : paths) {
    write_run(path, 0.03, "shine");
    write_end(path, config);
    config.optimizer.lr = 5e-3;
  }
  std::filesystem::remove(paths[1] / "summary.json");
  const std::vector<RunHistory> runs = read_run_histories(paths);
  const std::vector<RunFact> facts = run_facts(runs);
  CHECK(value_of(facts, "final test accuracy", 0) == "80.00 %");
  CHECK(value_of(facts, "best test accuracy", 0) == "81.25 % at step 40");
  CHECK(value_of(facts, "parameters", 0) == "158,890");
  CHECK(value_of(facts, "time", 0) == "1 h 6 min");
  CHECK(value_of(facts, "steps", 0) == "60");
  CHECK(value_of(facts, "best test accuracy", 1) == "80.00 % at step 60");  // of the records
  CHECK(value_of(facts, "steps", 1) == "60, not ended");
  CHECK(value_of(facts, "gradient estimator", 1) == "unrolled-5, then shine");
  const std::vector<RunFact> differences = config_facts(runs);
  REQUIRE(differences.size() == 1);
  CHECK(differences[0].name == "optimizer.lr");
  CHECK(differences[0].values == std::vector<std::string>{"0.001", "0.005"});
  CHECK(config_facts(std::span(runs).first(1)).size() == config_keys().size());
}

TEST_CASE("deq plot writes a self-contained report, an SVG that names its series, and a PNG") {
  const TemporaryFolder folder;
  const std::filesystem::path plain = folder.path() / "plain";
  const std::filesystem::path odd = folder.path() / "a<b&c";
  write_run(plain, 0.02, "shine");
  write_run(odd, 0.05, "jfb");
  const std::string runs = concat("plot ", plain.string(), " '", odd.string(), "'");

  const Outcome report = run_program(runs);
  CHECK(report.status == 0);
  CHECK(report.out == (plain / "report.html").string() + "\n");
  const std::string html = read_text(plain / "report.html");
  CHECK(contains(html, "<svg"));
  CHECK(contains(html, "<th>a&lt;b&amp;c</th>"));
  for (const char* outside : {"<script", "<link", "src=", "url(http", "href=\"http", "@import", "<?xml", "a<b"})
    CHECK_FALSE(contains(html, outside));

  const std::filesystem::path svg = folder.path() / "both.svg";
  CHECK(run_program(runs + " -o " + svg.string()).status == 0);
  for (const char* name : {"plain, training", "plain, test", "a&lt;b&amp;c, training", "a&lt;b&amp;c, test"})
    CHECK(contains(read_text(svg), name));

  const std::filesystem::path png = folder.path() / "both.png";
  const Outcome json = run_program(runs + " --json --out " + png.string());
  CHECK(json.status == 0);
  CHECK(nlohmann::json::parse(json.out)["runs"][1]["training_records"] == kSteps);
  CHECK(read_text(png).starts_with("\x89PNG"));
}

TEST_CASE("a cut last line is skipped and said, and an old summary is not taken for the run's end") {
  const TemporaryFolder folder;
  write_run(folder.path(), 0.05, "shine");
  write_end(folder.path(), Config());
  const std::filesystem::path metrics = folder.path() / "metrics.jsonl";
  write_text(metrics,
             read_text(metrics) + "{\"step\":61,\"epoch\":1,\"phase\":\"equilibrium\",\"loss\":1.0}\n{\"step\":6");
  const RunHistory run = read_run_history(folder.path());
  REQUIRE(run.notes.size() == 2);
  CHECK(run.notes[0] == metrics.string() + ":65: the last line is cut off and was skipped");
  CHECK(contains(run.notes[1], "of step 60, while the run has reached step 61"));
  CHECK_FALSE(run.summary.has_value());
  CHECK(run.training.size() == kSteps + 1);
  const Outcome outcome = run_program("plot " + folder.path().string());
  CHECK(outcome.status == 0);
  CHECK(contains(outcome.err, ":65: the last line is cut off"));
}

TEST_CASE("deq plot refuses with status 2 what is no run, and says what is wrong") {
  const TemporaryFolder folder;
  const auto run_with = [&](const std::string& name, const std::string& metrics) {
    std::filesystem::create_directories(folder.path() / name);
    write_text(folder.path() / name / "metrics.jsonl", metrics);
    return (folder.path() / name).string();
  };
  const std::string good = run_with("good", "{\"step\":1,\"loss\":2.0}\n");
  const std::string line = "{\"step\":1,\"loss\":2.0}\n";
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", "runs is required"},
      {"/nowhere", "/nowhere: is no folder"},
      {folder.path().string(), "holds no metrics.jsonl"},
      {run_with("empty", ""), "holds no training step yet"},
      {run_with("broken", line + "{\"step\":2,\n" + line), "metrics.jsonl:2: is not JSON: '{\"step\":2,'"},
      {run_with("list", line + "[1, 2]\n"), "metrics.jsonl:2: is [1,2], expected a JSON object"},
      {run_with("stepless", line + "{\"loss\":1.0}\n"), "metrics.jsonl:2: has no 'step'"},
      {run_with("words", "{\"step\":1,\"loss\":\"high\"}\n"), "metrics.jsonl:1: 'loss' is \"high\", expected a number"},
      {run_with("solve", "{\"step\":1,\"forward\":3}\n"), "metrics.jsonl:1: 'forward': is 3, expected a JSON object"},
      {good + " " + good, "is given twice"},
      {good + " -o curves.pdf", "'curves.pdf' should end in .html, .svg or .png"}};
  for (const auto& [arguments, part] : cases) {
    CAPTURE(arguments);
    const Outcome outcome = run_program("plot " + arguments);
    CHECK(outcome.status == 2);
    CHECK(is_one_line(outcome.err));
    CHECK_MESSAGE(contains(outcome.err, part), outcome.err);
  }
  check_refused("plot " + good + " -o /nowhere/curves.svg", "--out: the folder of '/nowhere/curves.svg' is not there");
}

TEST_CASE("folders of one name are told apart by their paths") {
  const TemporaryFolder folder;
  write_run(folder.path() / "a" / "run", 0.05, "shine");
  write_run(folder.path() / "b" / "run", 0.05, "shine");
  const std::vector<std::filesystem::path> paths = {folder.path() / "a" / "run", folder.path() / "b" / "run"};
  const std::vector<RunHistory> runs = read_run_histories(paths);
  CHECK(runs[0].name == paths[0].string());
  CHECK(runs[1].name == paths[1].string());
}

}  // namespace deq
