#include <doctest/doctest.h>

#include <chrono>
#include <cmath>
#include <csignal>
#include <nlohmann/json.hpp>
#include <random>
#include <thread>

#include "core/error.h"
#include "tests/train/program.h"
#include "tests/train/temporary_folder.h"
#include "train/tune_config.h"
#include "train/tune_report.h"
#include "train/tune_run.h"

// deq tune through the program itself, on a small set of its own.

namespace deq {

using test::contains;
using test::is_one_line;
using test::message_of;
using test::Outcome;
using test::read_text;
using test::run_program;
using test::RunningProgram;
using test::TemporaryFolder;
using test::write_text;
using Json = nlohmann::json;

namespace {

/// Two classes that a few of ten features tell apart.
std::string libsvm_text(int rows) {
  std::mt19937 rng(3);
  std::normal_distribution<double> normal;
  std::string out;
  for (int i = 0; i < rows; ++i) {
    const double side = i % 2 == 0 ? 1 : -1;
    out += side > 0 ? "+1" : "-1";
    for (int j = 1; j <= 10; ++j) out += concat(" ", j, ":", normal(rng) + (j <= 3 ? 0.7 * side : 0));
    out += "\n";
  }
  return out;
}

/// A folder with a data set and a configuration for it.
struct SmallSet {
  explicit SmallSet(const std::string& text = libsvm_text(200), const std::string& more = "") {
    write_text(folder.path() / "small.txt", text);
    write_text(config, "[data]\nname = \"small.txt\"\ntrain_fraction = 0.5\nvalidation_fraction = 0.25\n" + more);
  }
  [[nodiscard]] Outcome run(const std::string& flags = "") const {
    return run_program("tune " + config.string() + " --quiet --data " + folder.path().string() + " --out " +
                       out.string() + " " + flags);
  }
  TemporaryFolder folder;
  std::filesystem::path config = folder.path() / "small.toml";
  std::filesystem::path out = folder.path() / "run";
};

void check_refused(const Outcome& outcome, const std::string& part, int status = 2) {
  INFO(outcome.err);
  CHECK(outcome.status == status);
  CHECK(is_one_line(outcome.err));
  CHECK(contains(outcome.err, part));
}

const std::string kFewPoints = "[outer]\npoints = 6\nseeds = 2\nmethods = \"hoag, shine\"\n";

}  // namespace

TEST_CASE("deq tune answers with method, seed and points, and leaves traces, summary and plots") {
  const SmallSet set(libsvm_text(200), kFewPoints);
  const Outcome outcome = set.run("--method hoag,shine-opa,grid,random --json");
  INFO(outcome.err);
  REQUIRE(outcome.status == 0);
  const Json answer = Json::parse(outcome.out);
  for (const char* method : {"hoag", "shine-opa", "grid", "random"})
    for (const char* seed : {"0", "1"}) {
      const Json& points = answer.at(method).at(seed);
      CHECK(points.size() == (std::string(method) == "grid" || std::string(method) == "random" ? 11U : 6U));
      for (const char* key : {"outer", "seconds", "lambda", "validation_loss", "test_loss", "inner_gradients",
                              "hessian_products", "inner_residual"})
        CHECK(points.front().contains(key));
      CHECK(points.front()["outer"] == 0);
      CHECK(points.front()["lambda"] == 0);
    }
  for (const char* file : {"summary.json", "suboptimality.svg", "suboptimality.png", "suboptimality-products.svg",
                           "suboptimality-validation.png", "traces/hoag-seed0.json", "config.toml"})
    CHECK(std::filesystem::exists(set.out / file));
  const Json summary = Json::parse(read_text(set.out / "summary.json"));
  CHECK(summary["methods"]["hoag"]["test_suboptimality"]["to_reach"].contains("10"));
  const Json& best = summary["methods"]["hoag"]["best"];
  REQUIRE(best.size() == 2);
  CHECK(best[1]["seed"] == 1);
  for (const Json& point : answer["hoag"]["1"]) CHECK(best[1]["validation_loss"] <= point["validation_loss"]);
  const Json& chosen = answer["hoag"]["1"].at(best[1]["outer"].get<std::size_t>());
  CHECK(best[1]["lambda"] == chosen["lambda"]);
  CHECK(best[1]["test_loss"] == chosen["test_loss"]);
}

TEST_CASE("a second run keeps what is finished and another configuration is refused") {
  const SmallSet set(libsvm_text(200), kFewPoints);
  REQUIRE(set.run("--method hoag --seeds 1").status == 0);
  const std::string first = read_text(set.out / "traces" / "hoag-seed0.json");
  const Outcome again = set.run("--json");
  REQUIRE(again.status == 0);
  CHECK(read_text(set.out / "traces" / "hoag-seed0.json") == first);
  CHECK(Json::parse(again.out)["shine"].size() == 2);
  write_text(set.config, read_text(set.config) + "[inner]\nmemory = 7\n");
  check_refused(set.run(), "holds runs with 'memory = 0' but this configuration has 'memory = 7'");
  write_text(set.out / "traces" / "hoag-seed0.json", "{\"method\"");
  write_text(set.config, read_text(set.config).substr(0, read_text(set.config).find("[inner]")));
  check_refused(set.run(), "is not a trace of deq tune");
}

TEST_CASE("a trace of another run is refused by its file") {
  const SmallSet set(libsvm_text(200), kFewPoints);
  REQUIRE(set.run("--method hoag --seeds 1").status == 0);
  const auto file = set.out / "traces" / "hoag-seed0.json";
  Json trace = Json::parse(read_text(file));
  write_text(set.out / "traces" / "shine-seed0.json", trace.dump());
  check_refused(set.run("--method shine --seeds 1"), "shine-seed0.json: is the trace of hoag, seed 0");
  trace["lambda_size"] = 2;
  write_text(file, trace.dump());
  check_refused(set.run("--method hoag --seeds 1"), "hoag-seed0.json: is not a trace of deq tune (lambda: 1 values");
}

TEST_CASE("an interrupted run ends with 130 and goes on where it stopped") {
  const SmallSet set(libsvm_text(200), "[outer]\npoints = 30\nseeds = 5000\nmethods = \"hoag\"\n");
  const std::vector<std::string> arguments = {"tune",  set.config.string(), "--data", set.folder.path().string(),
                                              "--out", set.out.string(),    "--quiet"};
  RunningProgram program(arguments);
  const auto first = set.out / "traces" / "hoag-seed0.json";
  for (int i = 0; i < 2000 && !std::filesystem::exists(first) && program.is_running(); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  program.send(SIGINT);
  CHECK(program.wait() == 130);
  REQUIRE(std::filesystem::exists(first));
  const std::string kept = read_text(first);
  CHECK(set.run("--seeds 1").status == 0);
  CHECK(read_text(first) == kept);
}

TEST_CASE("the audit and the inverse experiment end with 130 when they are interrupted") {
  for (const char* flag : {"--audit", "--inverse-quality"}) {
    INFO(flag);
    // Hours of work: of the audit in its first phase, HOAG's path.
    const SmallSet set(libsvm_text(200),
                       "[outer]\npoints = 100000\noptimizer = \"adam\"\nrate = 1e-3\n"
                       "[quality]\nruns = 100000\ntrain_fraction = 0.5\n");
    const std::vector<std::string> arguments = {"tune",  set.config.string(), "--data", set.folder.path().string(),
                                                "--out", set.out.string(),    flag,     "--quiet"};
    RunningProgram program(arguments);
    for (int i = 0; i < 2000 && !std::filesystem::exists(set.out) && program.is_running(); ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    CHECK(program.is_running());
    program.send(SIGINT);
    for (int i = 0; i < 500 && program.is_running(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    REQUIRE_FALSE(program.is_running());
    CHECK(program.wait() == 130);
  }
}

TEST_CASE("a folder for the results that cannot be used is refused before the work") {
  const SmallSet set(libsvm_text(200), kFewPoints);
  write_text(set.out, "a file");
  for (const char* flags : {"--method hoag", "--audit", "--inverse-quality"})
    check_refused(set.run(flags), "give another --out");
  std::filesystem::remove(set.out);
  std::filesystem::create_directory(set.out);
  write_text(set.out / "config.toml", "[model]\nname = \"mdeq\"\n");
  check_refused(set.run(), set.out.string() + ": holds something else than runs of deq tune");
}

TEST_CASE("a folder without a finished run takes any configuration") {
  const SmallSet set(libsvm_text(200), kFewPoints);
  REQUIRE(set.run("--method hoag --seeds 1").status == 0);
  std::filesystem::remove(set.out / "traces" / "hoag-seed0.json");
  write_text(set.config, read_text(set.config) + "[inner]\nmemory = 7\n");
  CHECK(set.run("--method hoag --seeds 1").status == 0);
  CHECK(contains(read_text(set.out / "config.toml"), "memory = 7"));
}

TEST_CASE("two processes may work on one folder") {
  const SmallSet set(libsvm_text(200), "[outer]\npoints = 4\nseeds = 60\nmethods = \"hoag\"\n");
  const std::vector<std::string> arguments = {"tune",  set.config.string(), "--data", set.folder.path().string(),
                                              "--out", set.out.string(),    "--quiet"};
  RunningProgram one(arguments), other(arguments);
  CHECK(one.wait() == 0);
  CHECK(other.wait() == 0);
  CHECK(test::files_in(set.out / "traces").size() == 60);
}

TEST_CASE("a wrong configuration, method or seed is refused by name") {
  const SmallSet set(libsvm_text(60), kFewPoints);
  check_refused(set.run("--method shine,hog"), "unknown method 'hog'; did you mean 'hoag'?");
  check_refused(set.run("--method hoag,hoag"), "listed twice");
  check_refused(set.run("--audit --method grid"), "is a search");
  check_refused(set.run("--method ''"), "--method: is empty, expected: methods, separated by commas: hoag, ");
  check_refused(set.run("--seed 9223372036854775807"), "leaves no room for 2 seeds below 2^32");
  check_refused(set.run("--seed 4294967294"), "leaves no room for 2 seeds below 2^32");
  check_refused(set.run("--device cuda"), "'cuda' asked for, but deq tune computes on the CPU alone");
  write_text(set.config, "[data]\nname = \"small.txt\"\n[outer]\npionts = 3\n");
  check_refused(set.run(), set.config.string() + ":4: unknown key 'outer.pionts'; did you mean 'outer.points'?");
  write_text(set.config, "[data]\nname = \"small.txt\"\n[outer]\nlambda = 800.0\n");
  check_refused(set.run(), "must be at least -300 and at most 300");
  write_text(set.config, "[data]\nname = \"small.txt\"\n[outer]\nlambda = 13\n");
  check_refused(set.run(), "'outer.bound' keeps lambda within 12");
  write_text(set.config, "[model]\ntask = \"classification\"\n[data]\nname = \"wdbc\"\n");
  check_refused(set.run(), "is a configuration of `deq train`, not of `deq tune`");
  write_text(set.config, "[outer]\npoints = 3\n");
  check_refused(set.run(), "'data.name' is missing");
}

TEST_CASE("data that cannot be used are refused with the place where they went wrong") {
  const std::string good = libsvm_text(40);
  check_refused(SmallSet(good + "+1 3:1 2:1\n").run("--method hoag"), "small.txt:41");
  check_refused(SmallSet(good + "+1 3:x\n").run("--method hoag"), "small.txt:41");
  check_refused(SmallSet(good + "+1 3:nan\n").run("--method hoag"), "small.txt:41");
  check_refused(SmallSet(good + "3 3:1\n").run("--method hoag"), "small.txt");
  check_refused(SmallSet("").run("--method hoag"), "small.txt");
  check_refused(SmallSet("+1\n-1\n+1\n-1\n").run("--method hoag"), "small.txt: no sample has a feature");
  const SmallSet tiny("+1 1:1\n-1 1:2\n");
  check_refused(tiny.run("--method hoag"), "small.txt");
  const SmallSet missing;
  std::filesystem::remove(missing.folder.path() / "small.txt");
  check_refused(missing.run("--method hoag"), "small.txt");
}

TEST_CASE("an inner solver that does not converge is told and does not end the run") {
  const SmallSet set(libsvm_text(200), kFewPoints + "[inner]\nmax_iterations = 1\n");
  const Outcome outcome = set.run("--method shine");
  CHECK(outcome.status == 0);
  CHECK(contains(outcome.out, "inner solves missed their tolerance"));
  const Json trace = Json::parse(read_text(set.out / "traces" / "shine-seed0.json"));
  CHECK(trace["points"][1]["inner_status"] == "max_steps");
}

TEST_CASE("corrupted labels are for every problem with classes, their precision for cleaning alone") {
  const auto summary_of = [](const std::string& problem) {
    const SmallSet set(libsvm_text(200),
                       "corrupted_fraction = 0.3\n" + kFewPoints + "[problem]\nname = \"" + problem + "\"\n");
    const Outcome outcome = set.run("--method shine");
    INFO(outcome.err);
    CHECK(outcome.status == 0);
    return Json::parse(read_text(set.out / "summary.json"))["methods"]["shine"];
  };
  CHECK_FALSE(summary_of("multinomial").contains("cleaning_precision"));
  CHECK(summary_of("cleaning").contains("cleaning_precision"));
}

TEST_CASE("a plot that cannot be drawn leaves summary and answer whole") {
  // Samples beyond everything that a penalty of one lets the model fit: losses near the largest double.
  const SmallSet set(libsvm_text(40) + "+1 1:1e308 2:1e308\n-1 1:1e308 2:1e308\n", kFewPoints);
  const Outcome outcome = set.run("--method shine --json --seeds 3");
  INFO(outcome.err);
  CHECK(outcome.status == 0);
  CHECK(Json::parse(outcome.out)["shine"].size() == 3);
  CHECK(Json::parse(read_text(set.out / "summary.json"))["methods"].contains("shine"));
  CHECK(contains(outcome.err, "are missing: chart: axis"));
}

TEST_CASE("the audit lists each method with its error and its cost") {
  const SmallSet set(libsvm_text(200), kFewPoints);
  const Outcome outcome = set.run("--audit --method hoag,shine,jfb --json");
  INFO(outcome.err);
  REQUIRE(outcome.status == 0);
  const Json audit = Json::parse(outcome.out);
  REQUIRE(audit["methods"].size() == 3);
  CHECK(audit["exact"]["residual"].get<double>() <= 1e-12);
  // HOAG solves both levels to the tolerance of the outer iteration, 1e-3 and less.
  CHECK(audit["methods"][0]["relative_error"].get<double>() < 0.05);
  CHECK(audit["methods"][2]["relative_error"].get<double>() > audit["methods"][0]["relative_error"].get<double>());
  CHECK(audit["methods"][1]["hessian_products"] == 0);
  CHECK(std::filesystem::exists(set.out / "audit.json"));
}

TEST_CASE("an audit tells of points without a hypergradient to compare with") {
  // At zero, under a penalty that no step survives, w stays zero and so does its derivative.
  const SmallSet set(libsvm_text(200), "[outer]\npoints = 4\nlambda = 300\nbound = 300\nstart_deviation = 0\n");
  const Outcome outcome = set.run("--audit --method hoag,shine");
  CHECK(outcome.status == 0);
  CHECK(contains(outcome.out, "no point where the exact hypergradient and this one are finite and not zero"));
  CHECK_FALSE(contains(outcome.out, "nan"));
  CHECK(Json::parse(read_text(set.out / "audit.json"))["methods"][0]["points"] == 0);
}

TEST_CASE("the inverse experiment writes its numbers and its scatter plot") {
  const SmallSet set(libsvm_text(200), "[quality]\nruns = 5\ntrain_fraction = 0.5\n");
  const Outcome outcome = set.run("--inverse-quality --json");
  INFO(outcome.err);
  REQUIRE(outcome.status == 0);
  CHECK(Json::parse(outcome.out)["series"].size() == 4);
  CHECK(set.run("--inverse-quality --json --seed 42").out == outcome.out);
  CHECK(set.run("--inverse-quality --json --seed 7").out != outcome.out);
  CHECK(std::filesystem::exists(set.out / "inverse-quality.png"));
}

TEST_CASE("a configuration of tuning reads back as it was written") {
  TuneConfig config = parse_tune_config("[data]\nname = \"a9a\"\n[inner]\ntolerance = 1e-5\n", "x");
  CHECK(parse_tune_config(write_tune_config(config), "y") == config);
}

TEST_CASE("medians, quartiles and crossings of sub-optimality follow from the traces") {
  std::vector<TuneTrace> traces;
  for (int seed = 0; seed < 3; ++seed)
    for (const char* method : {"hoag", "grid"}) {
      TuneTrace trace{.method = method, .seed = seed, .status = "finished", .lambda_size = 1, .points = {}};
      const bool is_grid = trace.method == "grid";
      for (int i = 0; i < 4; ++i) {
        OuterPoint point{.outer = i, .seconds = i + 0.1 * seed, .lambda = {0.0}};
        // The grid's second candidate is its best; what follows is worse and does not count.
        point.validation_loss = seed + (is_grid ? std::abs(i - 1) * 5.0 + 3 : 12.0 - 4 * i);
        point.test_loss = 2 * point.validation_loss;
        point.count.inner_gradients = 10 * i;
        trace.points.push_back(point);
      }
      traces.push_back(trace);
    }
  const std::vector<TuneCurve> curves = tune_curves(traces, TuneMeasure::validation);
  REQUIRE(curves.size() == 2);
  CHECK(curves[0].median == std::vector<double>{12, 8, 4, 0});
  CHECK(curves[1].median == std::vector<double>{8, 3, 3, 3});
  CHECK(cost_to_reach(curves[0], 5, TuneCost::seconds) == doctest::Approx(2.1));
  CHECK(cost_to_reach(curves[1], 5, TuneCost::products) == 10);
  CHECK(std::isinf(cost_to_reach(curves[1], 2, TuneCost::seconds)));
  CHECK(tune_curves(traces, TuneMeasure::test)[1].median == std::vector<double>{16, 6, 6, 6});
}

TEST_CASE("a run that ended early, or has a loss that is not finite, stays in the median") {
  const auto trace_of = [](std::int64_t seed, const std::vector<double>& losses) {
    TuneTrace trace{.method = "esj-1", .seed = seed, .status = "finished", .lambda_size = 1, .points = {}};
    for (const double loss : losses) {
      OuterPoint point{.outer = static_cast<int>(trace.points.size()), .lambda = {0.0}, .validation_loss = loss};
      point.count.inner_gradients = 10 * point.outer;
      trace.points.push_back(point);
    }
    return trace;
  };
  const std::vector<TuneTrace> traces = {trace_of(0, {9, 7}), trace_of(1, {8, 6, 2, 0}), trace_of(2, {9, NAN, 0})};
  const std::vector<TuneCurve> curves = tune_curves(traces, TuneMeasure::validation);
  REQUIRE(curves.size() == 1);
  // Distances to the best of each seed: 2 0 0 0, 8 6 2 0 and 9 9 0 0.
  CHECK(curves[0].median == std::vector<double>{8, 6, 0, 0});
  CHECK(curves[0].high == std::vector<double>{8.5, 7.5, 1, 0});
  CHECK(curves[0].products == std::vector<double>{0, 10, 20, 20});
  CHECK(trace_of(0, {NAN, 3, 5}).best().validation_loss == 3);
}

TEST_CASE("the precision of cleaning counts corrupted samples among the lowest weights") {
  CHECK(cleaning_precision({-3, 2, -1, 4}, {true, false, true, false}) == 1);
  CHECK(cleaning_precision({3, 2, -1, 4}, {true, false, true, false}) == 0.5);
}

}  // namespace deq
