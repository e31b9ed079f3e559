#include "train/config.h"

#include <doctest/doctest.h>

#include <set>
#include <string>
#include <vector>

#include "core/error.h"
#include "tests/train/temporary_folder.h"
#include "train/config_keys.h"
#include "train/nearest.h"

namespace deq {

using test::contains;
using test::message_of;

namespace {

std::string refusal(const std::string& text, const std::vector<std::string>& overrides = {}) {
  return message_of<RequestError>([&] { static_cast<void>(parse_config(text, "run.toml", overrides)); });
}

/// Another legal value for `key`, as TOML.
std::string other_value(const ConfigKey& key) {
  Config defaults;
  const Field field = key.field(defaults);
  if (auto* const* flag = std::get_if<bool*>(&field)) return **flag ? "false" : "true";
  if (std::holds_alternative<std::string*>(field))
    return key.choices.empty() ? "\"exact\"" : "\"" + std::string(key.choices.back()) + "\"";
  if (std::holds_alternative<std::vector<int>*>(field)) return key.leaf().ends_with("image") ? "[64, 96]" : "[1, 2]";
  if (key.name == "data.scale" || key.name == "data.crop_area") return "[0.25, 0.75]";
  if (std::holds_alternative<std::vector<double>*>(field))
    return key.leaf() == "betas" ? "[0.5, 0.25]" : "[0.5, 0.1, 0.25]";
  return std::holds_alternative<double*>(field) ? "0.015625" : "4";
}

}  // namespace

TEST_CASE("an unknown key is refused with file, line and the nearest key") {
  const std::string message = refusal("[model]\nname = \"x\"\n\n[train]\nbatchsize = 3\n");
  CHECK(message == "run.toml:5: unknown key 'train.batchsize'; did you mean 'train.batch_size'?");
}

TEST_CASE("a shortened key is one that it is the beginning of") {
  CHECK(contains(refusal("[solver]\ntol = 0.1\n"), "did you mean 'solver.tolerance'?"));
  CHECK(contains(refusal("[solver]\nmax = 3\n"), "did you mean 'solver.max_steps'?"));
  CHECK(contains(refusal("[train]\neval = 3\n"), "did you mean 'train.eval_"));
}

TEST_CASE("a key in the wrong section is pointed to its own") {
  CHECK(contains(refusal("[train]\nlr = 0.1\n"), "did you mean 'optimizer.lr'?"));
}

TEST_CASE("an unknown section and a key outside all sections are refused") {
  CHECK(refusal("[trian]\nseed = 1\n") == "run.toml:1: unknown section [trian]; did you mean [train]?");
  CHECK(contains(refusal("seed = 1\n"), "key 'seed' is outside a section"));
  CHECK(contains(refusal("train = 1\n"), "key 'train' is outside a section"));
}

TEST_CASE("a configuration of deq tune is recognised") {
  CHECK(refusal("[problem]\nname = \"logistic\"\n[data]\nname = \"wdbc\"\n") ==
        "run.toml: is a configuration of `deq tune`");
}

TEST_CASE("text that is not TOML is refused with its line") {
  CHECK(contains(refusal("[model]\nname = \n"), "run.toml:2: "));
  CHECK(contains(refusal("[train]\nseed = 1\nseed = 2\n"), "run.toml:3: "));
}

TEST_CASE("every key refuses a value of another type, naming itself") {
  for (const ConfigKey& key : config_keys()) {
    Config defaults;
    const bool is_text = std::holds_alternative<std::string*>(key.field(defaults));
    const std::string text = concat("[", key.section(), "]\n", key.leaf(), " = ", is_text ? "3" : "\"three\"", "\n");
    const std::string message = refusal(text);
    CHECK_MESSAGE(contains(message, concat("run.toml:2: key '", key.name, "' must be ")), message);
  }
}

TEST_CASE("an integer key refuses a fraction and a list refuses entries of another type") {
  CHECK(contains(refusal("[train]\nbatch_size = 3.5\n"), "must be an integer, found the number 3.5"));
  CHECK(contains(refusal("[model]\nchannels = [8, \"x\"]\n"), "key 'model.channels' must be an integer"));
  CHECK(parse_config("[optimizer]\nlr = 1\n", "run.toml").optimizer.lr == 1.0);
}

TEST_CASE("impossible values are refused by name") {
  CHECK(contains(refusal("[train]\nbatch_size = 0\n"), "key 'train.batch_size' is 0 but must be at least 1"));
  CHECK(contains(refusal("[model]\ndropout = 1.5\n"), "'model.dropout'"));
  CHECK(contains(refusal("[optimizer]\nlr = 0.0\n"), "must be above 0"));
  CHECK(contains(refusal("[optimizer]\nlr = nan\n"), "'optimizer.lr'"));
  CHECK(contains(refusal("[optimizer]\nlr = inf\n"), "'optimizer.lr'"));
  CHECK(contains(refusal("[train]\nseed = -1\n"), "'train.seed'"));
  CHECK(contains(refusal("[solver]\nmemory = -3\n"), "key 'solver.memory' is -3 but must be at least 0"));
  CHECK(contains(refusal("[train]\nepochs = 99999999999\n"), "'train.epochs'"));
  CHECK(contains(refusal("[solver]\nname = \"broyde\"\n"), "did you mean 'broyden'?"));
  CHECK(contains(refusal("[train]\nestimator = \"shine-refine-0\"\n"), "'train.estimator'"));
  CHECK(contains(refusal("[train]\nstart = \"mixd\"\n"), "did you mean 'mixed'?"));
}

TEST_CASE("what the published model takes is accepted: stems that round up, any groups for one branch") {
  CHECK(refusal("[model]\ndownsample_times = 1\n[data]\nname = \"folder\"\nimage = [31, 43]\n").empty());
  const std::string one_branch = "num_blocks = [1]\nbig_kernels = [0]\nhead_channels = [8]\n";
  CHECK(refusal("[model]\nchannels = [15]\nnum_groups = 5\n" + one_branch).empty());
  CHECK(refusal("[model]\nchannels = [7]\nnum_groups = 1\n" + one_branch).empty());
}

TEST_CASE("values that contradict each other are refused") {
  CHECK(contains(refusal("[model]\nchannels = [24, 24, 24]\n"), "'model.head_channels' has 2 entries"));
  CHECK(contains(refusal("[model]\nchannels = [20, 24]\n"), "a branch of 20 channels"));
  CHECK(contains(refusal("[model]\nchannels = []\nhead_channels = []\n"), "'model.channels' is empty"));
  CHECK(contains(refusal("[data]\nname = \"folder\"\nimage = [33, 32]\n"),
                 "33 pixels, 33 after 0 downsamplings, which must divide by 2"));
  CHECK(contains(refusal("[model]\nnum_groups = 3\n"), "'model.num_groups' is 3 but must be even"));
  CHECK(contains(refusal("[data]\nimage = [64, 64]\n"), "must be [32, 32] for cifar10"));
  CHECK(contains(refusal("[model]\nclasses = 11\n"), "cifar10 has 10 classes"));
  CHECK(contains(refusal("[train]\nepochs = 0\n"), "nothing would be trained"));
  CHECK(contains(refusal("[train]\ncorrection_states = 19\n"), "'train.correction_states' is 19"));
  CHECK(
      contains(refusal("[solver]\nhistory = \"bfloat16\"\nmemory = 17\n"), "'solver.memory' = 17 is less than the 18"));
  CHECK(contains(refusal("[solver]\nhistory = \"bfloat16\"\nname = \"broyden-lowrank\"\n"), "pairs, which need"));
  CHECK(refusal("[solver]\nhistory = \"bfloat16\"\nmemory = 18\n").empty());
  CHECK(contains(refusal("[optimizer]\nlr = 1e-9\n"), "'schedule.min_lr'"));
  CHECK(refusal("[optimizer]\nlr = 1e-9\n[schedule]\nname = \"constant\"\n").empty());  // it has no least rate
  CHECK(contains(refusal("[optimizer]\nbetas = [0.9]\n"), "'optimizer.betas' has 1 entry"));
}

TEST_CASE("per-branch lists that nobody gave follow the number of branches") {
  const Config config = parse_config("[model]\nchannels = [8, 8, 8]\nhead_channels = [4, 4, 4]\n", "run.toml");
  CHECK(config.model.num_blocks == std::vector<int>{1, 1, 1});
  CHECK(config.model.big_kernels == std::vector<int>{0, 0, 0});
}

TEST_CASE("an override reaches every key, and every key survives being written and read") {
  for (const ConfigKey& key : config_keys()) {
    std::vector<std::string> overrides = {concat(key.name, "=", other_value(key))};
    if (key.name == "data.image" || key.name == "model.classes") overrides.emplace_back("data.name=folder");
    if (key.name == "model.channels") overrides.emplace_back("model.channels=[32, 48]");
    if (key.name == "schedule.min_lr") overrides.emplace_back("optimizer.lr=1");
    const Config config = parse_config("", "run.toml", overrides);
    INFO(key.name);
    if (key.choices.size() != 1) CHECK_FALSE(config == Config{});
    CHECK(parse_config(write_config(config), "written.toml") == config);
  }
}

TEST_CASE("awkward numbers and texts survive being written and read") {
  Config config;
  config.model.name = "quote \" backslash \\ tab \t newline \n umlaut \xc3\xbc";
  config.data.path = "/tmp/it's here";
  config.optimizer.lr = 0.1 + 0.2;
  config.optimizer.eps = 5e-324;
  config.solver.tolerance = 1e22;
  config.train.seed = 1234567890123456789;
  CHECK(parse_config(write_config(config), "written.toml") == config);
}

TEST_CASE("overrides are as strict as the file") {
  CHECK(
      contains(refusal("", {"train.batchsize=3"}), "--set: unknown key 'train.batchsize'; did you mean 'train.batch"));
  CHECK(contains(refusal("", {"train.batch_size"}), "is not of the form section.key=value"));
  CHECK(contains(refusal("", {"train.batch_size=many"}), "--set: key 'train.batch_size' cannot be read from 'many'"));
  CHECK(contains(refusal("", {"train.batch_size=1.5"}), "must be an integer"));
  CHECK(contains(refusal("", {"train.batch_size=-1"}), "at least 1"));
  CHECK(contains(refusal("", {"train.batch_size=3\nseed=1"}), "takes one value"));
  CHECK(contains(refusal("", {"train.batch_size="}), "cannot be read from ''"));
}

TEST_CASE("a text may be overridden with and without quotes") {
  CHECK(parse_config("", "run.toml", std::vector<std::string>{"solver.name=anderson"}).solver.name == "anderson");
  CHECK(parse_config("", "run.toml", std::vector<std::string>{"solver.name=\"picard\""}).solver.name == "picard");
}

TEST_CASE("key names are unique and find themselves") {
  std::set<std::string_view> names;
  for (const ConfigKey& key : config_keys()) {
    CHECK(names.insert(key.name).second);
    CHECK(find_config_key(key.name) == &key);
    CHECK(nearest_config_key(key.name).substr(nearest_config_key(key.name).find('.') + 1) == key.leaf());
  }
}

TEST_CASE("the edit distance of kitten and sitting is 3") {
  CHECK(edit_distance("kitten", "sitting") == 3);
  CHECK(edit_distance("", "abc") == 3);
  CHECK(edit_distance("same", "same") == 0);
}

TEST_CASE("the configurations that come with deq are read") {
  for (const char* name : {"shapes-mdeq", "cifar10-mdeq-tiny", "cifar10-mdeq-large", "cifar10-mdeq-large-reg"}) {
    const Config config = load_config(std::filesystem::path(DEQ_CONFIGS) / (std::string(name) + ".toml"));
    CHECK(parse_config(write_config(config), "written.toml") == config);
  }
}

TEST_CASE("a missing configuration and a folder in its place are wrong requests") {
  CHECK(
      contains(message_of<RequestError>([] { static_cast<void>(load_config("/nowhere/x.toml")); }), "/nowhere/x.toml"));
  CHECK(contains(message_of<RequestError>([] { static_cast<void>(load_config("/")); }), "is a folder"));
}

}  // namespace deq
