#include "train/command_line.h"

#include <doctest/doctest.h>

#include <array>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "core/error.h"
#include "tests/train/program.h"
#include "tests/train/temporary_folder.h"
#include "train/checkpoint.h"

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

template <class T>
T parsed(const std::vector<std::string>& arguments) {
  std::string text;
  const std::optional<Request> request = parse_command_line(arguments, text);
  REQUIRE(request.has_value());
  return std::get<T>(*request);
}

void save_small_checkpoint(const std::filesystem::path& folder) {
  Checkpoint checkpoint;
  checkpoint.class_names = {"a", "b"};
  checkpoint.training = {.step = 12, .epoch = 1, .phase = "equilibrium"};
  checkpoint.model = {{"stem.conv.weight", Tensor(DType::f32, {4, 3, 3, 3})},
                      {"stem.norm.running_var", Tensor(DType::f32, {4})},
                      {"stem.norm.weight", Tensor(DType::f32, {4})}};
  save_checkpoint(folder, checkpoint);
}

/// The lines about each option of a help text.
std::map<std::string, std::string> options_of(const std::string& help) {
  std::map<std::string, std::string> out;
  std::istringstream lines(help);
  std::string option;
  for (std::string line; std::getline(lines, line);) {
    const std::size_t indent = line.find_first_not_of(' ');
    if (indent == 2 && line[2] == '-') option = line.substr(2, line.find(' ', 2) - 2);
    if (indent < 2 || indent == std::string::npos) option.clear();
    if (!option.empty()) out[option] += line;
  }
  return out;
}

}  // namespace

TEST_CASE("wrong requests end with status 2 and one line on stderr that says what is wrong") {
  const TemporaryFolder folder;
  const std::string shapes = config_file("shapes-mdeq");
  const std::string bad_key = (folder.path() / "bad.toml").string();
  write_text(bad_key, "[solver]\nmax_stepps = 3\n");
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", "subcommand"},
      {"trian", "did you mean 'train'"},
      {"train", "config is required"},
      {"train /nowhere.toml", "/nowhere.toml"},
      {"train " + bad_key, bad_key + ":2: unknown key 'solver.max_stepps'; did you mean 'solver.max_steps'?"},
      {"train " + shapes + " --set train.batch_size=x", "train.batch_size"},
      {"train " + shapes + " --set train.batchsize=4", "did you mean 'train.batch_size'"},
      {"train " + shapes + " --nonsense", "--nonsense"},
      {"train " + shapes + " --threads none", "--threads"},
      {"train " + shapes + " --threads 0", "--threads: '0' is no whole number from 1 to 1024"},
      {"train " + shapes + " --seed 99999999999999999999",
       "--seed: '99999999999999999999' is no whole number from 0 to"},
      {"train /dev/zero", "/dev/zero: is longer than 1 MiB"},
      {"eval c --limit 1e3", "--limit: '1e3' is no whole number from 1 to 1000000000"},
      {"eval c --limit 0x10", "--limit: '0x10' is no whole number"},
      {"eval c --tol abc", "--tol: 'abc' is no finite number of at least 0 (see deq eval --help)"},
      {"eval c --tol -1", "--tol: '-1' is no finite number"},
      {"eval c --tol inf", "--tol: 'inf' is no finite number"},
      {"eval c --tol 0,5", "--tol: '0,5' is no finite number"},
      {"eval c --time-budget nan", "--time-budget: 'nan' is no finite number"},
      {"eval c --max-steps 1000000000", "--max-steps: '1000000000' is no whole number from 1 to 100000"},
      {"train " + shapes + " --device toaster", "toaster"},
      {"train " + shapes + " --device cuda:99", "cuda:99"},
      {"train " + shapes + " --device cuda:x", "cuda:x"},
      {"train " + shapes + " --set compute.precision=fp8", "compute.precision"},
      {"eval /nowhere", "/nowhere"},
      {"eval /nowhere --split validation", "--split"},
      {"predict /nowhere", "nothing to classify"},
      {"predict /nowhere image.png", "/nowhere"},
      {"predict /nowhere --tensor x.npy", "--save-logits"},
      {"predict /nowhere a.png --sheet sheet.jpg", "--sheet: 'sheet.jpg' should end in .png"},
      {"info /nowhere", "/nowhere"},
      {"bench " + shapes + " --estimators shine,magic", "magic"},
      {"new 2fast", "2fast"},
      {"new deq", "taken"},
      {"new deq/", "taken"},
      {"new edit_cache", "taken"},
      {"new rebuild_cache", "taken"},
      {"new preinstall", "taken"},
      {"new ALL_BUILD", "taken"},
      {"new CMakeFiles", "taken"},
      {"data", "subcommand"},
      {"data foo", "unknown command 'foo'; did you mean 'list'? deq data has list, fetch, export, verify"},
      {"import foo", "unknown command 'foo'; did you mean 'mdeq'? deq import has mdeq"},
      {"data export", "name is required"},
      {"data export shapes", "--out"},
      {"data export shape --out /nowhere", "shapes"},
      {"data export shapes --out /nowhere --count 3000", "2000"},
  };
  for (const auto& [arguments, part] : cases) {
    const Outcome outcome = run_program(arguments);
    INFO("deq " << arguments << ": " << outcome.err);
    CHECK(outcome.status == 2);
    CHECK(outcome.out.empty());
    CHECK(is_one_line(outcome.err));
    CHECK(contains(outcome.err, part));
  }
}

TEST_CASE("help tells the default of every option that has one") {
  const std::set<std::string, std::less<>> without = {"--set", "--tensor", "--labels", "--save-logits", "-h,--help"};
  for (const char* command : {"train", "eval", "predict", "info", "bench", "audit", "tune", "plot", "import mdeq",
                              "data list", "data export", "data verify", "data fetch", "new"})
    for (const auto& [option, text] : options_of(run_program(std::string(command) + " --help").out)) {
      CAPTURE(command);
      CAPTURE(option);
      const bool takes_value = contains(text, " TEXT") || contains(text, " INT") || contains(text, " FLOAT");
      if (takes_value && !contains(text, "REQUIRED") && !without.contains(option)) CHECK(contains(text, "default: "));
    }
}

TEST_CASE("every command has help with an example") {
  CHECK(contains(run_program("--help").out, "train"));
  for (const char* command : {"train", "eval", "predict", "info", "bench", "audit", "plot", "import mdeq", "new"}) {
    const Outcome outcome = run_program(std::string(command) + " --help");
    CHECK(outcome.status == 0);
    CHECK(contains(outcome.out, concat("Example:\n  deq ", command, " ")));
    for (const char* flag : {"--device", "--threads", "--seed", "--json", "--quiet"})
      CHECK(contains(outcome.out, flag));
  }
}

TEST_CASE("info tells about the build and the machine, also as JSON") {
  const Outcome text = run_program("info");
  CHECK(text.status == 0);
  CHECK(contains(text.out, "deq "));
  const auto json = nlohmann::json::parse(run_program("info --json").out);
  CHECK(json.contains("version"));
  CHECK(json["devices"][0]["name"] == "cpu");
}

TEST_CASE("info lists the parameters of a checkpoint by layer and checks the manifest") {
  const TemporaryFolder folder;
  const auto last = folder.path() / "last";
  save_small_checkpoint(last);
  const Outcome outcome = run_program("info --json " + last.string());
  REQUIRE(outcome.status == 0);
  const auto json = nlohmann::json::parse(outcome.out);
  CHECK(json["parameters"] == 4 * 3 * 3 * 3 + 4);
  CHECK(json["manifest"] == "ok");
  CHECK(json["training"]["step"] == 12);
  CHECK(json["layers"][0]["name"] == "stem.conv");
  CHECK(json["layers"][0]["tensors"][0]["shape"] == std::vector<int>{4, 3, 3, 3});
  CHECK(contains(run_program("info " + last.string()).out, "112 parameters"));
}

TEST_CASE("new makes a project under its name and overwrites nothing") {
  const TemporaryFolder folder;
  const std::string project = (folder.path() / "mine").string();
  const Outcome outcome = run_program("new --json " + project);
  REQUIRE(outcome.status == 0);
  const auto json = nlohmann::json::parse(outcome.out);
  CHECK(json["name"] == "mine");
  for (const auto& file : json["files"]) {
    const std::string text = read_text(file.get<std::string>());
    CHECK_FALSE(text.empty());
    CHECK_FALSE(contains(text, "@NAME@"));
  }
  CHECK(contains(read_text(folder.path() / "mine" / "CMakeLists.txt"), "project(mine "));
  const Outcome again = run_program("new " + project);
  CHECK(again.status == 2);
  CHECK(contains(again.err, "exists already"));
}

TEST_CASE("data list names the sets and data export writes images that say their class") {
  const auto list = nlohmann::json::parse(run_program("data list --json").out);
  CHECK(list[0]["name"] == "cifar10");
  CHECK(contains(run_program("data list").out, "shapes"));
  const TemporaryFolder folder;
  const Outcome outcome = run_program("data export shapes --count 3 --json --out " + folder.path().string());
  REQUIRE(outcome.status == 0);
  const auto files = nlohmann::json::parse(outcome.out)["files"];
  REQUIRE(files.size() == 3);
  for (const auto& file : files) {
    const std::filesystem::path path = file["file"].get<std::string>();
    CHECK(std::filesystem::exists(path));
    CHECK(path.filename().string().starts_with(file["name"].get<std::string>() + "-0000"));
  }
}

TEST_CASE("a flipped byte of a checkpoint ends every command with status 2") {
  const TemporaryFolder folder;
  const auto last = folder.path() / "last";
  save_small_checkpoint(last);
  std::string bytes = read_text(last / "model.safetensors");
  bytes[bytes.size() - 5] = static_cast<char>(bytes[bytes.size() - 5] ^ 16);
  write_text(last / "model.safetensors", bytes);
  for (const char* command : {"info ", "eval ", "predict --tensor x.npy --save-logits y.npy "}) {
    const Outcome outcome = run_program(command + last.string());
    CHECK(outcome.status == 2);
    CHECK(is_one_line(outcome.err));
    CHECK(contains(outcome.err, "damaged"));
  }
}

TEST_CASE("a result that cannot be written is a failure") {
  const std::string command = std::string(DEQ_PROGRAM) + " info >/dev/full 2>/dev/null";
  CHECK(WEXITSTATUS(std::system(command.c_str())) == 1);  // NOLINT: as above
}

TEST_CASE("the flags of train reach the request") {
  const TrainRequest request =
      parsed<TrainRequest>({"train",     "--set", "a.b=1",      "conf/x.toml", "--data",      "d",        "--seed",
                            "9",         "--set", "c.d=[1, 2]", "--resume",    "--max-steps", "30",       "--dry-run",
                            "--threads", "3",     "--json",     "--quiet",     "--device",    "reference"});
  CHECK(request.config == "conf/x.toml");
  CHECK(request.overrides == std::vector<std::string>{"a.b=1", "c.d=[1, 2]"});
  CHECK(request.data == "d");
  CHECK(request.out == "runs/x");
  CHECK(request.run.seed == 9);
  CHECK(request.is_resume);
  CHECK(request.max_steps == 30);
  CHECK(request.is_dry_run);
  CHECK(request.run.threads == 3);
  CHECK(request.run.is_json);
  CHECK(request.run.is_quiet);
  CHECK(request.run.device.kind == DeviceKind::reference);
}

TEST_CASE("--seed sets train.seed and --set has the last word") {
  const std::string config = config_file("shapes-mdeq");
  CHECK(config_of(parsed<TrainRequest>({"train", config, "--seed", "9"})).train.seed == 9);
  CHECK(config_of(parsed<TrainRequest>({"train", config, "--seed", "9", "--set", "train.seed=5"})).train.seed == 5);
}

TEST_CASE("the flags of eval, predict and bench reach the request") {
  const auto eval =
      parsed<EvalRequest>({"eval", "c", "--split", "train", "--limit", "10", "--batch", "4", "--tol", "1e-5"});
  CHECK(eval.split == "train");
  CHECK(eval.limit == 10);
  CHECK(eval.batch == 4);
  CHECK(eval.limits.tolerance == 1e-5);
  CHECK_FALSE(eval.limits.max_steps.has_value());
  CHECK(eval.limits.has_compaction);
  CHECK(parsed<EvalRequest>({"eval", "c", "--limit", "010"}).limit == 10);
  const auto hurried = parsed<EvalRequest>({"eval", "c", "--time-budget", "2.5", "--no-compaction"});
  CHECK(hurried.limits.time_budget_ms == 2.5);
  CHECK_FALSE(hurried.limits.has_compaction);
  const auto predict = parsed<PredictRequest>({"predict", "c", "a.png", "b.png", "--top-k", "2", "--max-steps", "7"});
  CHECK(predict.images.size() == 2);
  CHECK(predict.top_k == 2);
  CHECK(predict.limits.max_steps == 7);
  const auto bench = parsed<BenchRequest>({"bench", "x.toml", "--estimators", "shine,jfb-refine-3", "--repeats", "2"});
  CHECK(bench.estimators == std::vector<std::string>{"shine", "jfb-refine-3"});
  CHECK(bench.repeats == 2);
}

}  // namespace deq
