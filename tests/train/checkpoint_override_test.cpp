#include "train/checkpoint_override.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "tests/train/program.h"
#include "tests/train/small_model.h"
#include "tests/train/temporary_folder.h"
#include "tests/train/tiny_run.h"

namespace deq {

using test::check_refused;
using test::contains;
using test::message_of;
using test::Outcome;
using test::read_text;
using test::run_program;
using test::tiny_run;
using Json = nlohmann::json;

namespace {

LoadedModel loaded_in(const std::string& phase) {
  LoadedModel out;
  out.checkpoint.config = test::tiny_config();
  out.checkpoint.config.data.name = "folder";
  out.checkpoint.training.phase = phase;
  out.model = std::make_unique<Model>(out.checkpoint.config, ParameterStart::zeros);
  return out;
}

std::string refusal_of(const std::string& assignment, CheckpointUse use, const std::string& phase = "equilibrium") {
  LoadedModel loaded = loaded_in(phase);
  const std::vector<std::string> assignments{assignment};
  return message_of<RequestError>([&] { (void)override_checkpoint(loaded, assignments, use); });
}

Json evaluation(const std::string& flags) {
  const Outcome outcome = run_program("eval " + tiny_run().checkpoint + " --quiet --threads 1 --json " + flags);
  INFO(outcome.err);
  REQUIRE(outcome.status == 0);
  Json out = Json::parse(outcome.out);
  out.erase("images_per_s");
  return out;
}

}  // namespace

TEST_CASE("of equal keys the last assignment holds, and model and checkpoint agree on it") {
  LoadedModel loaded = loaded_in("equilibrium");
  const std::vector<std::string> assignments{"solver.max_steps=3", "solver.name=anderson", "solver.max_steps=5"};
  const GivenKeys given = override_checkpoint(loaded, assignments, CheckpointUse::eval);
  CHECK(given == GivenKeys{"solver.max_steps", "solver.name"});
  CHECK(loaded.model->config.solver.max_steps == 5);
  CHECK(loaded.model->config.solver.name == "anderson");
  CHECK(loaded.checkpoint.config == loaded.model->config);
}

TEST_CASE("a key that changes the parameters or does nothing is refused with the reason and with what can be set") {
  CHECK(contains(refusal_of("model.channels=[4]", CheckpointUse::eval),
                 "'model.channels' decides what the parameters of the checkpoint mean; deq eval can set compute.{"));
  CHECK(contains(refusal_of("data.mean=[0,0,0]", CheckpointUse::predict_files), "decides what the parameters"));
  CHECK(contains(refusal_of("train.lr=1", CheckpointUse::eval), "did you mean 'optimizer.lr'?"));
  CHECK(contains(refusal_of("optimizer.lr=1", CheckpointUse::eval), "'optimizer.lr' does nothing in deq eval"));
  CHECK(contains(refusal_of("model.dropout=0", CheckpointUse::eval), "does nothing in deq eval"));
  CHECK(contains(refusal_of("data.path=x", CheckpointUse::predict_files), "does nothing in deq predict;"));
  CHECK(contains(refusal_of("data.path=x", CheckpointUse::audit_tensor), "does nothing in deq audit --tensor"));
  CHECK(contains(refusal_of("solver.compaction=false", CheckpointUse::audit_set), "solver.{backward,"));
  CHECK(contains(refusal_of("solver.backward=gmres", CheckpointUse::eval), "does nothing in deq eval"));
  CHECK(refusal_of("solver.backward=gmres", CheckpointUse::audit_set).empty());
  CHECK(contains(refusal_of("solver.max_steps=many", CheckpointUse::eval), "'solver.max_steps' cannot be read"));
  CHECK(contains(refusal_of("solver.max_steps=0", CheckpointUse::eval), "must be at least 1"));
  CHECK(contains(refusal_of("data.eval_image=[16,16]", CheckpointUse::eval), "does nothing in deq eval"));
}

TEST_CASE("inference with a model of pre-training has no solver to set") {
  CHECK(contains(refusal_of("solver.name=picard", CheckpointUse::eval, "pretrain"), "one of pre-training"));
  CHECK(refusal_of("train.unroll_steps=3", CheckpointUse::eval, "pretrain").empty());
  CHECK(contains(refusal_of("train.unroll_steps=3", CheckpointUse::eval), "does nothing in deq eval"));
  CHECK(refusal_of("solver.name=picard", CheckpointUse::audit_set, "pretrain").empty());
}

TEST_CASE("what the run supervised in training does not bound the steps of an evaluation") {
  LoadedModel loaded = loaded_in("equilibrium");
  loaded.model->config.train.correction_states = 4;
  const std::vector<std::string> one{"solver.max_steps=1"};
  CHECK(override_checkpoint(loaded, one, CheckpointUse::eval).size() == 1);
  const std::vector<std::string> clash{"solver.history=bfloat16", "solver.memory=2", "solver.max_steps=9"};
  CHECK(contains(message_of<RequestError>([&] { (void)override_checkpoint(loaded, clash, CheckpointUse::eval); }),
                 "--set: key 'solver.history' is 'bfloat16'"));
}

TEST_CASE("every key that can be set is on the page of configuration keys") {
  const std::string page = read_text(std::filesystem::path(DEQ_CONFIGS) / ".." / ".." / "docs" / "configuration.md");
  const std::string part = page.substr(page.find("## On a checkpoint"), page.find("## Model") - page.find("## On a"));
  const LoadedModel loaded = loaded_in("equilibrium");
  for (const CheckpointUse use : {CheckpointUse::eval, CheckpointUse::predict_files, CheckpointUse::audit_set})
    for (const std::string_view name : settable_keys(loaded, use)) {
      CAPTURE(name);
      const bool is_whole = name.starts_with("compute.");
      CHECK(contains(part, is_whole ? "`compute.*`" : concat("`", name, "`")));
    }
}

TEST_CASE("deq eval, predict and audit solve as --set says") {
  CHECK(evaluation("--set solver.max_steps=2") == evaluation("--max-steps 2"));
  CHECK(evaluation("--set solver.max_steps=2") != evaluation(""));
  CHECK(evaluation("--set solver.name=anderson") != evaluation(""));
  const std::string predict = "predict " + tiny_run().checkpoint + " " + tiny_run().images[0] + " --threads 1 --json ";
  const Json answer = Json::parse(run_program(predict + "--set solver.max_steps=1").out);
  CHECK(answer[0]["solver"]["steps"] == 1);
  const std::string audit =
      "audit " + tiny_run().checkpoint + " --batch 2 --differences 0 --estimators exact,jfb --quiet --json ";
  const Outcome limited = run_program(audit + "--set solver.backward_max_steps=2");
  REQUIRE(limited.status == 0);
  CHECK(Json::parse(limited.out)["exact"]["calls"] < 10);
}

TEST_CASE("a flag beside a --set of its key is refused") {
  const std::string& checkpoint = tiny_run().checkpoint;
  check_refused("eval " + checkpoint + " --tol 1 --set solver.tolerance=1", "'solver.tolerance' is what --tol stands");
  check_refused("eval " + checkpoint + " --no-compaction --set solver.compaction=true", "--no-compaction");
  check_refused("eval " + checkpoint + " --time-budget 9 --set solver.time_budget_ms=1", "--time-budget");
  check_refused("eval " + checkpoint + " --data x --set data.path=y", "--data");
  check_refused("audit " + checkpoint + " --max-steps 9 --set solver.backward_max_steps=9", "--max-steps");
  check_refused("predict " + checkpoint + " " + tiny_run().images[0] + " --max-steps 9 --set solver.max_steps=9",
                "--max-steps");
}

}  // namespace deq
