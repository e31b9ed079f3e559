#include "train/import.h"

#include <doctest/doctest.h>

#include <cmath>

#include "core/error.h"
#include "data/safetensors.h"
#include "tests/train/golden_mdeq.h"
#include "tests/train/program.h"
#include "tests/train/temporary_folder.h"
#include "train/model.h"

namespace deq {

using test::contains;
using test::is_one_line;
using test::message_of;
using test::Outcome;
using test::run_program;
using test::TemporaryFolder;
using test::write_text;

namespace {

constexpr const char* kTinyConfig = R"([model]
channels = [8, 8]
head_channels = [2, 2]
final_channels = 4
expansion = 1
classes = 3
post_gn_affine = true
[data]
name = "folder"
image = [8, 8]
)";

Config tiny_config() { return parse_config(kTinyConfig, "tiny"); }

/// A copy whose tensors are its own.
NamedTensors weights_of(const Config& config) {
  const Model model(config);
  NamedTensors out;
  for (const auto& [name, tensor] : model.tensors()) out.emplace(name, tensor.clone());
  return out;
}

}  // namespace

TEST_CASE("weights under their plain names become a checkpoint of the equilibrium phase") {
  const NamedTensors weights = weights_of(tiny_config());
  const ImportedModel imported = import_mdeq(tiny_config(), weights, "w");
  CHECK(imported.checkpoint.training.phase == "equilibrium");
  CHECK(imported.checkpoint.model.size() == weights.size());
  CHECK(imported.ignored.empty());
  CHECK(imported.notes.empty());
  CHECK(test::max_difference(imported.checkpoint.model.at("classifier.weight"), weights.at("classifier.weight")) == 0);
}

TEST_CASE("classes get the names of the configured set where these are fixed and as many") {
  Config config = tiny_config();
  CHECK(import_mdeq(config, weights_of(config), "w").checkpoint.class_names.empty());
  config.data.name = "cifar10";  // of three classes, which no configuration file may say
  CHECK(import_mdeq(config, weights_of(config), "w").checkpoint.class_names.empty());
  config.model.classes = 10;
  const ImportedModel imported = import_mdeq(config, weights_of(config), "w");
  REQUIRE(imported.checkpoint.class_names.size() == 10);
  CHECK(imported.checkpoint.class_names[3] == "cat");
}

TEST_CASE("prefixes, copies of f and batch counters of published files are tolerated") {
  NamedTensors weights;
  for (const auto& [name, tensor] : weights_of(tiny_config())) weights.emplace("module.model." + name, tensor);
  weights.emplace("model.fullstage_copy.branches.0.blocks.0.conv1.weight", Tensor(DType::f32, {2}));
  weights.emplace("model.downsample.1.num_batches_tracked", Tensor(DType::i64, {}));
  const ImportedModel imported = import_mdeq(tiny_config(), weights, "w");
  CHECK(imported.ignored.size() == 2);
  CHECK(imported.checkpoint.model.contains("fullstage.branches.0.blocks.0.conv1.weight_v"));
}

TEST_CASE("the weights decide whether the post-fuse normalisations are affine") {
  Config plain = tiny_config();
  plain.model.post_gn_affine = false;
  const ImportedModel with = import_mdeq(plain, weights_of(tiny_config()), "w");
  CHECK(with.checkpoint.config.model.post_gn_affine);
  CHECK(with.notes.size() == 1);
  const ImportedModel without = import_mdeq(tiny_config(), weights_of(plain), "w");
  CHECK_FALSE(without.checkpoint.config.model.post_gn_affine);
}

TEST_CASE("missing, surplus and misshapen tensors are listed") {
  NamedTensors weights = weights_of(tiny_config());
  weights.erase("classifier.bias");
  weights.erase("fullstage.post_fuse_layers.0.gnorm.bias");
  weights.emplace("extra.weight", Tensor(DType::f32, {1}));
  weights.insert_or_assign("classifier.weight", Tensor(DType::f32, {4, 3}));
  const std::string message = message_of<RequestError>([&] { (void)import_mdeq(tiny_config(), weights, "w"); });
  CHECK(contains(message, "2 missing: classifier.bias, fullstage.post_fuse_layers.0.gnorm.bias"));
  CHECK(contains(message, "1 surplus: extra.weight"));
  CHECK(contains(message, "1 misshapen: classifier.weight"));

  const NamedTensors all = weights_of(tiny_config());
  NamedTensors few = all;
  std::erase_if(few, [](const auto& entry) { return !contains(entry.first, "post_fuse"); });
  const std::string list = message_of<RequestError>([&] { (void)import_mdeq(tiny_config(), few, "w"); });
  for (const auto& [name, tensor] : all) CHECK(contains(list, name) == !few.contains(name));
}

TEST_CASE("a tensor given twice or with a value that is not finite is refused") {
  NamedTensors twice = weights_of(tiny_config());
  twice.emplace("model.classifier.bias", Tensor(DType::f32, {3}));
  CHECK(contains(message_of<RequestError>([&] { (void)import_mdeq(tiny_config(), twice, "w"); }), "twice"));
  NamedTensors broken = weights_of(tiny_config());
  broken.at("classifier.bias").data<float>()[1] = NAN;
  CHECK(contains(message_of<RequestError>([&] { (void)import_mdeq(tiny_config(), broken, "w"); }), "classifier.bias"));
  NamedTensors negative = weights_of(tiny_config());
  negative.at("downsample.1.running_var").data<float>()[2] = -1e-3F;
  CHECK(contains(message_of<RequestError>([&] { (void)import_mdeq(tiny_config(), negative, "w"); }),
                 "element 2 of tensor 'downsample.1.running_var'"));
}

TEST_CASE("import ends with status 2 on a wrong request and leaves other folders alone") {
  const TemporaryFolder folder;
  const std::string config = (folder.path() / "tiny.toml").string();
  const std::string weights = (folder.path() / "w.safetensors").string();
  const std::string out = (folder.path() / "checkpoint").string();
  write_text(config, kTinyConfig);
  write_text(weights, "not safetensors");
  const auto import_to = [&](const std::string& to) {
    return run_program("import mdeq --config " + config + " --weights " + weights + " --out " + to);
  };
  CHECK(run_program("import mdeq --config " + config).status == 2);
  CHECK(run_program("import resnet --config " + config).status == 2);
  const Outcome damaged = import_to(out);
  CHECK(damaged.status == 2);
  CHECK(is_one_line(damaged.err));
  CHECK_FALSE(std::filesystem::exists(out));

  NamedTensors tensors = weights_of(tiny_config());
  write_safetensors(weights, {.tensors = tensors, .metadata = {}});
  std::filesystem::create_directory(out);
  write_text(std::filesystem::path(out) / "precious.txt", "mine");
  const Outcome refused = import_to(out);
  CHECK(refused.status == 2);
  CHECK(contains(refused.err, "not a checkpoint"));
  CHECK(std::filesystem::exists(std::filesystem::path(out) / "precious.txt"));

  // A folder of somebody's own, as published models come: not even its weights are deq's to replace.
  const std::filesystem::path own = folder.path() / "own";
  std::filesystem::create_directory(own);
  std::filesystem::copy_file(weights, own / "model.safetensors");
  CHECK(import_to(own.string()).status == 2);
  write_text(own / "tokens.json", "{}");
  CHECK(import_to(own.string()).status == 2);
  CHECK(std::filesystem::exists(own / "tokens.json"));

  const std::string fresh = (folder.path() / "fresh").string();
  CHECK(import_to(fresh).status == 0);
  CHECK(import_to(fresh).status == 0);
  const std::filesystem::path note = std::filesystem::path(fresh) / "note.txt";
  write_text(note, "mine");
  CHECK(import_to(fresh).status == 2);
  CHECK(std::filesystem::exists(note));
  std::filesystem::remove(note);
  CHECK(contains(run_program("info " + fresh).out, "imported"));
  tensors.erase("classifier.bias");
  write_safetensors(weights, {.tensors = tensors, .metadata = {}});
  const Outcome missing = import_to(fresh);
  CHECK(missing.status == 2);
  CHECK(is_one_line(missing.err));
  CHECK(contains(missing.err, "classifier.bias"));
}

}  // namespace deq
