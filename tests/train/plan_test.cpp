#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/cpu/backend.h"
#include "core/cpu/rounded_conv.h"
#include "tests/train/program.h"
#include "tests/train/temporary_folder.h"
#include "train/plan_report.h"

namespace deq {

using test::contains;
using test::run_program;

namespace {

/// What a published configuration must come out as.
struct Published {
  const char* name;
  std::int64_t parameters, state_elements, pretrain_steps, total_steps;
};

// Parameters and states: measured on the reference implementation (github.com/locuslab/deq, commit 1fb7059). Steps: its
// configurations; an epoch has as many steps as there are whole batches.
constexpr Published kPublished[] = {
    {"cifar10-mdeq-tiny", 158890, 30720, 3000, 50LL * 781},
    {"cifar10-mdeq-large", 11097438, 61440, 20000, 220LL * 390},
    {"cifar10-mdeq-large-reg", 11097438, 61440, 16000, 220LL * 520},
    {"imagenet-mdeq-small", 16808936, 188160, 510000, 100LL * 10009},
    {"imagenet-mdeq-small-reg", 18613496, 188160, 510000, 100LL * 10009},
    {"imagenet-mdeq-large", 67063624, 470400, 510000, 100LL * 10009},
    {"imagenet-mdeq-large-reg", 67061224, 470400, 510000, 100LL * 10009},
    {"imagenet-mdeq-xl", 90463280, 517440, 500400, 100LL * 5004},
    {"cityscapes-mdeq-small", 8968467, 1966080, 60000, 123500},
    {"cityscapes-mdeq-large", 55955859, 4915200, 60000, 123500},
    {"cityscapes-mdeq-xl", 79551755, 8110080, 40000, 92500},
};

nlohmann::json planned(const std::string& name, const std::string& flags = {}) {
  const test::Outcome run =
      run_program("train '" + test::config_file(name) + "' --dry-run --json --quiet --device cpu " + flags);
  REQUIRE_MESSAGE(run.status == 0, run.err);
  return nlohmann::json::parse(run.out);
}

bool warns(const nlohmann::json& plan, const std::string& text) {
  const auto& warnings = plan["warnings"];
  return std::any_of(warnings.begin(), warnings.end(),
                     [&](const nlohmann::json& warning) { return contains(warning.get<std::string>(), text); });
}

/// Warnings of the shipped shapes configuration with these settings.
std::vector<std::string> warnings_of(std::vector<std::string> settings) {
  const Config config = load_config(test::config_file("shapes-mdeq"), settings);
  return outline(config, 1000, 100).warnings;
}

bool mentions(const std::vector<std::string>& warnings, const std::string& text) {
  return std::any_of(warnings.begin(), warnings.end(),
                     [&](const std::string& warning) { return contains(warning, text); });
}

}  // namespace

TEST_CASE("published configurations are planned with their sizes and steps, without their data") {
  for (const Published& expected : kPublished) {
    CAPTURE(expected.name);
    const nlohmann::json plan = planned(expected.name);
    CHECK(plan["parameters"] == expected.parameters);
    CHECK(plan["state_elements"] == expected.state_elements);
    CHECK(plan["pretrain_steps"] == expected.pretrain_steps);
    CHECK(plan["total_steps"] == expected.total_steps);
    CHECK(plan["equilibrium_steps"] == expected.total_steps - expected.pretrain_steps);
    const bool is_imagenet = contains(expected.name, "imagenet"), is_cityscapes = contains(expected.name, "cityscapes");
    CHECK(plan["dataset"]["train"] == (is_imagenet ? 1281167 : is_cityscapes ? 2975 : 50000));
    CHECK(plan["dataset"]["test"] == (is_imagenet ? 50000 : is_cityscapes ? 500 : 10000));
    // At least the parameters, their moments and the history of one solve.
    CHECK(plan["peak_bytes"].get<std::int64_t>() > 8 * expected.parameters + plan["history_bytes"].get<std::int64_t>());
    CHECK(warns(plan, "never leaves pre-training") == (is_imagenet && contains(expected.name, "-xl")));
    CHECK(warns(plan, "absolute tolerance") == (is_cityscapes || (is_imagenet && !contains(expected.name, "-xl"))));
    CHECK_FALSE(warns(plan, "Jacobian"));
  }
}

TEST_CASE("the history of a plan is what its solver stores") {
  // Broyden keeps its steps and one residual: max_steps + 1 states, each rounded up to 64 bytes.
  const nlohmann::json plan = planned("cifar10-mdeq-tiny", "--set train.batch_size=8 --set solver.max_steps=10");
  CHECK(plan["history_bytes"].get<std::int64_t>() >= 11 * 8 * 30720 * 4);
  CHECK(plan["history_bytes"].get<std::int64_t>() < 14 * 8 * 30720 * 4);
}

TEST_CASE("a plan that needs more memory than the machine has says so") {
  const nlohmann::json plan = planned("cifar10-mdeq-large", "--set train.batch_size=65536");
  CHECK(warns(plan, "this machine has"));
  CHECK_FALSE(warns(planned("cifar10-mdeq-tiny", "--set train.batch_size=2"), "this machine has"));
}

TEST_CASE("plans that make no sense are warned of, each in its words") {
  CHECK(warnings_of({}).empty());
  CHECK(mentions(warnings_of({"train.total_steps=10", "train.pretrain_steps=10"}), "never leaves pre-training"));
  CHECK(mentions(warnings_of({"train.batch_size=2000"}), "less than one batch"));
  CHECK(mentions(warnings_of({"solver.mode=abs", "solver.tolerance=1e-6"}), "float32 cannot reach"));
  CHECK(mentions(warnings_of({"compute.convolution=bf16"}), "avx512_bf16") != cpu::multiplies_bf16());
  CHECK(mentions(warnings_of({"solver.tolerance=1e-9"}), "float32 cannot reach"));
  CHECK(warnings_of({"solver.tolerance=0"}).empty());  // asks for a fixed number of steps
  CHECK(mentions(warnings_of({"solver.name=picard", "train.estimator=shine"}), "those of jfb;"));
  CHECK(mentions(warnings_of({"solver.name=newton-krylov", "train.estimator=shine-refine-3"}), "those of jfb-refine;"));
  for (const char* estimator : {"jfb", "jfb-refine-3", "exact", "gdeq", "adjoint-broyden"})
    CHECK(warnings_of({"solver.name=picard", concat("train.estimator=", estimator)}).empty());
  CHECK(mentions(warnings_of({"train.jacobian_weight=1"}), "jacobian_frequency is 0"));
  CHECK(mentions(warnings_of({"train.jacobian_frequency=0.1"}), "all weights of the Jacobian penalty are 0"));
  CHECK(mentions(warnings_of({"train.jacobian_target_radius=0.9"}), "steers the weight"));
  CHECK(mentions(warnings_of({"train.jacobian_frequency=0.1", "train.jacobian_weight=1", "train.batch_size=100",
                              "train.total_steps=100", "train.pretrain_steps=50", "train.jacobian_stop_epoch=5"}),
                 "before the equilibrium phase begins"));
  CHECK(warnings_of({"train.jacobian_frequency=0.1", "train.jacobian_weight=1", "train.jacobian_target_radius=0.9"})
            .empty());
}

TEST_CASE("every parameter of a configuration is listed with its published name and shape") {
  struct Entry {
    const char* name;
    std::vector<std::int64_t> shape;
  };
  struct Listed {
    const char* config;
    std::int64_t parameters, weight_lengths;
    std::vector<Entry> entries;
  };
  // Counts of all parameters and of those called weight_g: measured on the reference implementation.
  const Listed all[] = {{"cifar10-mdeq-tiny",
                         158890,
                         336,
                         {{"downsample.3.weight", {24, 24, 3, 3}},
                          {"fullstage.branches.1.blocks.0.conv1.weight_v", {120, 24, 3, 3}},
                          {"fullstage.branches.1.blocks.0.gn1.weight", {120}},
                          {"fullstage.fuse_layers.1.0.net.0.conv.weight", {24, 24, 3, 3}},
                          {"classifier.weight", {10, 200}}}},
                        {"cifar10-mdeq-large",
                         11097438,
                         3360,
                         {{"stage0.0.weight", {32, 32, 1, 1}},
                          {"fullstage.branches.3.blocks.0.conv2.weight_g", {256, 1, 1, 1}},
                          {"fullstage.fuse_layers.0.3.net.conv.weight", {32, 256, 1, 1}},
                          {"incre_modules.3.0.downsample.0.weight", {448, 256, 1, 1}},
                          {"downsamp_modules.2.0.bias", {448}},
                          {"classifier.bias", {10}}}}};
  for (const Listed& listed : all) {
    CAPTURE(listed.config);
    const test::Outcome run = run_program("info '" + test::config_file(listed.config) + "' --json");
    REQUIRE(run.status == 0);
    const auto json = nlohmann::json::parse(run.out);
    CHECK(json["parameters"] == listed.parameters);
    std::int64_t trained = 0, lengths = 0;
    std::map<std::string, std::vector<std::int64_t>> shapes;
    for (const auto& layer : json["layers"])
      for (const auto& tensor : layer["tensors"]) {
        const auto name = tensor["name"].get<std::string>();
        shapes[name] = tensor["shape"].get<std::vector<std::int64_t>>();
        std::int64_t elements = 1;
        for (const std::int64_t extent : shapes[name]) elements *= extent;
        if (tensor["trained"].get<bool>()) trained += elements;
        if (name.ends_with("weight_g")) lengths += elements;
      }
    CHECK(trained == listed.parameters);
    CHECK(lengths == listed.weight_lengths);
    for (const Entry& entry : listed.entries) {
      CAPTURE(entry.name);
      CHECK(shapes[entry.name] == entry.shape);
    }
  }
}

TEST_CASE("the planned memory is what a run reports to have used") {
  const test::TemporaryFolder folder;
  std::vector<std::string> arguments = test::small_run(folder.path() / "run", 18);
  for (const char* setting : {"train.jacobian_frequency=1", "train.jacobian_weight=0.1", "train.eval_every=3",
                              "train.start=mixed", "train.correction_states=2"}) {
    arguments.emplace_back("--set");
    arguments.emplace_back(setting);
  }
  REQUIRE(run_program(test::joined(arguments)).status == 0);
  const auto summary = nlohmann::json::parse(test::read_text(folder.path() / "run" / "summary.json"));
  arguments.insert(arguments.end(), {"--dry-run", "--json"});
  const test::Outcome plan = run_program(test::joined(arguments));
  REQUIRE(plan.status == 0);
  CHECK(nlohmann::json::parse(plan.out)["peak_bytes"] == summary["peak_bytes"]);
}

}  // namespace deq
