#include "train/initial_weights.h"

#include <doctest/doctest.h>

#include <cstring>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "layers/mdeq/part.h"
#include "tests/train/program.h"
#include "tests/train/small_model.h"
#include "tests/train/temporary_folder.h"
#include "tests/train/tiny_run.h"
#include "train/model.h"

namespace deq {

using test::check_refused;
using test::contains;
using test::joined;
using test::message_of;
using test::Outcome;
using test::read_text;
using test::run_program;
using test::small_run;
using test::TemporaryFolder;
using test::tiny_config;
using test::tiny_run;
using Folder = std::filesystem::path;

namespace {

Config of_segmentation(Config config) {
  config.model.task = "segmentation";
  return config;
}

/// A checkpoint of `config` with drawn weights, and `config` that begins from it.
Config saved(const Folder& folder, const Config& config) {
  Config out = config;
  out.data.name = "folder";
  out.train.seed = 7;
  Checkpoint checkpoint;
  checkpoint.config = out;
  checkpoint.model = Model(out).tensors();
  save_checkpoint(folder, checkpoint);
  out.train.initial_weights = folder.string();
  return out;
}

bool is_same(const Tensor& a, const Tensor& b) {
  return a.type() == b.type() && std::memcmp(a.raw(), b.raw(), a.bytes()) == 0;
}

Checkpoint last_of(const Folder& run) { return load_checkpoint(run / "checkpoints" / "last", CheckpointParts::all); }

void check_same_tensors(const NamedTensors& a, const NamedTensors& b) {
  REQUIRE(a.size() == b.size());
  for (const auto& [name, tensor] : a) {
    CAPTURE(name);
    CHECK(is_same(tensor, b.at(name)));
  }
}

/// A run of three steps from the weights of `checkpoint`.
std::string fine_tuning(const Folder& out, const std::string& checkpoint, const std::string& flags = "") {
  return joined(small_run(out, 3)) + " --weights '" + checkpoint + "' " + flags;
}

}  // namespace

TEST_CASE("names of parameters tell the part of the model that they belong to") {
  for (const Config& config : {tiny_config(), of_segmentation(tiny_config())}) {
    const Model model(config, ParameterStart::zeros);
    std::map<MdeqPart, int> count;
    for (const auto& [name, tensor] : model.tensors()) ++count[mdeq_part(name)];
    CHECK(count.size() == 4);
    CHECK(count[MdeqPart::output] == 2);  // a weight and a bias
  }
  CHECK(mdeq_part("stage0.0.weight") == MdeqPart::stem);
  CHECK(mdeq_part("incre_modules.0.0.conv1.weight") == MdeqPart::head);
}

TEST_CASE("without a checkpoint everything is drawn") {
  const InitialWeights weights = read_initial_weights(tiny_config());
  CHECK(weights.from.empty());
  CHECK(weights.taken.empty());
}

TEST_CASE("a checkpoint of the same model is taken whole, from its folder or its file") {
  const TemporaryFolder folder;
  Config config = saved(folder.path() / "a", tiny_config());
  for (const char* file : {"", "model.safetensors"}) {
    config.train.initial_weights = folder.path() / "a" / file;
    const InitialWeights weights = read_initial_weights(config);
    CHECK(weights.drawn.empty());
    check_same_tensors(weights.taken, Model(config).tensors());
  }
}

TEST_CASE("for other classes the last layer is drawn, for another task the head") {
  const TemporaryFolder folder;
  Config config = saved(folder.path() / "a", tiny_config());
  config.model.classes = 7;
  const InitialWeights other_classes = read_initial_weights(config);
  CHECK(other_classes.drawn == std::vector<std::string>{"classifier.bias", "classifier.weight"});
  CHECK(contains(describe(other_classes), "; drawn: classifier.bias, classifier.weight"));
  const InitialWeights other_task = read_initial_weights(of_segmentation(config));
  CHECK_FALSE(other_task.drawn.empty());
  for (const std::string& name : other_task.drawn) CHECK(name.starts_with("last_layer."));
  for (const auto& [name, tensor] : other_task.taken) CHECK_FALSE(name.starts_with("last_layer."));
}

TEST_CASE("weights of another model are refused with a list") {
  const TemporaryFolder folder;
  const Config config = saved(folder.path() / "a", tiny_config());
  const auto refusal = [](const Config& wanted) {
    return message_of<RequestError>([&] { (void)read_initial_weights(wanted); });
  };
  Config affine = config;
  affine.model.post_gn_affine = true;
  CHECK(contains(refusal(affine), "4 missing: fullstage.post_fuse_layers.0.gnorm.bias"));
  Config plain = config;
  plain.model.block_gn_affine = false;
  CHECK(contains(refusal(plain), "surplus: fullstage.branches.0.blocks.0.gn1.bias"));
  Config wide = config;
  wide.model.expansion = 3;
  CHECK(contains(refusal(wide), "misshapen: fullstage.branches.0.blocks.0.conv1.weight_g (f32[16,1,1,1], the model"));
  Config other_head = config;
  other_head.model.final_channels = 8;
  other_head.model.classes = 7;
  CHECK(contains(refusal(other_head), "final_layer.0.weight"));
  Config gone = config;
  gone.train.initial_weights = "/nowhere";
  CHECK(contains(refusal(gone), "/nowhere: no such checkpoint"));
}

TEST_CASE("a training begins with the weights that it is given") {
  const TemporaryFolder folder;
  const Folder run = folder.path() / "run";
  // Steps too small to change a float.
  const std::string still = "--set optimizer.name=sgd --set optimizer.lr=1e-30 --set schedule.min_lr=0";
  REQUIRE(run_program(fine_tuning(run, tiny_run().checkpoint, still)).status == 0);
  const Checkpoint begun = last_of(run), given = last_of(tiny_run().path);
  for (const auto& [name, tensor] : given.model) {
    CAPTURE(name);
    if (!is_running_statistic(name)) CHECK(is_same(tensor, begun.model.at(name)));
  }
  CHECK(begun.config.train.initial_weights == tiny_run().checkpoint);
  CHECK(contains(run_program("info " + run.string() + "/checkpoints/last").out,
                 "from the weights of " + tiny_run().checkpoint));
}

TEST_CASE("a resumed run goes on to the same bits without the weights it began from") {
  const TemporaryFolder folder;
  const Folder weights = folder.path() / "weights", whole = folder.path() / "whole", cut = folder.path() / "cut";
  std::filesystem::copy(tiny_run().checkpoint, weights);
  REQUIRE(run_program(fine_tuning(whole, weights)).status == 0);
  REQUIRE(run_program(fine_tuning(cut, weights, "--max-steps 1")).status == 0);
  std::filesystem::remove_all(weights);
  REQUIRE(run_program(fine_tuning(cut, weights, "--max-steps 2")).status == 0);
  REQUIRE(run_program(joined(small_run(cut, 3))).status == 0);
  check_same_tensors(last_of(whole).model, last_of(cut).model);
  check_same_tensors(last_of(whole).state, last_of(cut).state);
  CHECK(read_text(whole / "config.toml") == read_text(cut / "config.toml"));
  check_refused(fine_tuning(cut, tiny_run().checkpoint), "began from the weights of '" + weights.string() + "'");
  check_refused(fine_tuning(folder.path() / "new", weights), "no such checkpoint");
  CHECK_FALSE(std::filesystem::exists(folder.path() / "new"));
}

TEST_CASE("the plan and the start of a training say which tensors are drawn") {
  const TemporaryFolder folder;
  const Folder weights = folder.path() / "weights";
  Checkpoint other = load_checkpoint(tiny_run().checkpoint);
  other.model.insert_or_assign("classifier.bias", Tensor(DType::f32, {3}));
  save_checkpoint(weights, other);
  const std::string planned = fine_tuning(folder.path() / "run", weights, "--dry-run");
  CHECK(contains(run_program(planned).out, "weights from    " + weights.string() + ", "));
  CHECK(contains(run_program(planned).out, "drawn: classifier.bias\n"));
  const auto plan = nlohmann::json::parse(run_program(planned + " --json").out);
  CHECK(plan["initial_weights"]["drawn"] == nlohmann::json{"classifier.bias"});
  CHECK_FALSE(nlohmann::json::parse(run_program(joined(small_run(folder.path() / "run", 3)) + " --dry-run --json").out)
                  .contains("initial_weights"));
  std::string loud = fine_tuning(folder.path() / "run", weights);
  loud.erase(loud.find(" '--quiet'"), 10);
  CHECK(contains(run_program(loud).err, "initial weights: " + weights.string() + ", "));
}

TEST_CASE("--weights beside a --set of its key is refused") {
  check_refused(fine_tuning("/nowhere/run", tiny_run().checkpoint, "--set train.initial_weights=x"), "--weights");
}

}  // namespace deq
