#include "train/tune_config.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <fstream>
#include <sstream>

#include "core/error.h"
#include "train/config_value.h"
#include "train/nearest.h"
#include "train/toml_depth.h"

namespace deq {

namespace {

/// One key: what it may hold, and where its value lives. `rule.field` is not used.
struct TuneKey {
  ConfigKey rule;
  Field (*field)(TuneConfig&);
};

template <auto Section, auto Member>
Field at(TuneConfig& config) {
  return &(config.*Section.*Member);
}

constexpr auto kProblem = &TuneConfig::problem;
constexpr auto kData = &TuneConfig::data;
constexpr auto kInner = &TuneConfig::inner;
constexpr auto kOuter = &TuneConfig::outer;
constexpr auto kQuality = &TuneConfig::quality;
constexpr double kLargestCount = 1e9;
// Norms square what the penalty multiplies: e^600 = 4e260 leaves 48 decades for the data.
constexpr double kLargestLambda = 300;

TuneKey text(std::string_view name, Field (*field)(TuneConfig&), std::vector<std::string_view> choices = {}) {
  return {{.name = name, .field = nullptr, .choices = std::move(choices)}, field};
}
TuneKey flag(std::string_view name, Field (*field)(TuneConfig&)) { return {{.name = name, .field = nullptr}, field}; }
TuneKey number(std::string_view name, Field (*field)(TuneConfig&), double minimum, double maximum = kLargestCount) {
  return {{.name = name, .field = nullptr, .minimum = minimum, .maximum = maximum}, field};
}
TuneKey above(std::string_view name, Field (*field)(TuneConfig&), double bound, double maximum) {
  return {{.name = name, .field = nullptr, .minimum = bound, .maximum = maximum, .excludes_minimum = true}, field};
}

void append_data_keys(std::vector<TuneKey>& keys) {
  using P = TuneProblemConfig;
  keys.push_back(
      text("problem.name", at<kProblem, &P::name>, {"logistic", "multinomial", "least-squares", "cleaning"}));
  keys.push_back(text("problem.penalty", at<kProblem, &P::penalty>, {"shared", "per-weight", "per-class"}));
  keys.push_back(number("problem.fixed_penalty", at<kProblem, &P::fixed_penalty>, -kLargestLambda, kLargestLambda));
  using D = TuneDataConfig;
  keys.push_back(text("data.name", at<kData, &D::name>));
  keys.push_back(text("data.path", at<kData, &D::path>));
  keys.push_back(text("data.test_part", at<kData, &D::test_part>, {"stacked", "kept"}));
  keys.push_back(above("data.train_fraction", at<kData, &D::train_fraction>, 0, 1));
  keys.push_back(above("data.validation_fraction", at<kData, &D::validation_fraction>, 0, 1));
  keys.push_back(number("data.corrupted_fraction", at<kData, &D::corrupted_fraction>, 0, 1));
}

void append_run_keys(std::vector<TuneKey>& keys) {
  using I = TuneInnerConfig;
  keys.push_back(number("inner.max_iterations", at<kInner, &I::max_iterations>, 1));
  keys.push_back(above("inner.tolerance", at<kInner, &I::tolerance>, 0, 1));
  keys.push_back(text("inner.decay", at<kInner, &I::decay>, {"exponential", "quadratic", "cubic", "exact"}));
  keys.push_back(number("inner.factor", at<kInner, &I::factor>, 0, 1));
  keys.push_back(above("inner.floor", at<kInner, &I::floor>, 0, 1));
  keys.push_back(number("inner.memory", at<kInner, &I::memory>, 0, 100000));
  keys.push_back(flag("inner.carries_memory", at<kInner, &I::carries_memory>));
  keys.push_back(text("inner.initial_inverse", at<kInner, &I::initial_inverse>, {"identity", "scaled"}));
  keys.push_back(text("inner.pairs", at<kInner, &I::pairs>, {"double", "single"}));
  keys.push_back(above("inner.curvature", at<kInner, &I::curvature>, 1e-4, 0.999));
  keys.push_back(number("inner.max_evaluations", at<kInner, &I::max_evaluations>, 2, 1000));
  using O = TuneOuterConfig;
  keys.push_back(text("outer.methods", at<kOuter, &O::methods>));
  keys.push_back(
      text("outer.optimizer", at<kOuter, &O::optimizer>, {"adaptive", "adaptive-clean", "gd", "adam", "elra"}));
  keys.push_back(above("outer.rate", at<kOuter, &O::rate>, 0, kLargestCount));
  keys.push_back(number("outer.points", at<kOuter, &O::points>, 2, 100000));
  keys.push_back(number("outer.seeds", at<kOuter, &O::seeds>, 1, 10000));
  keys.push_back(number("outer.lambda", at<kOuter, &O::lambda>, -kLargestLambda, kLargestLambda));
  keys.push_back(above("outer.bound", at<kOuter, &O::bound>, 0, kLargestLambda));
  keys.push_back(number("outer.start_deviation", at<kOuter, &O::start_deviation>, 0, kLargestCount));
  keys.push_back(number("outer.search_points", at<kOuter, &O::search_points>, 1, 100000));
  keys.push_back(above("outer.search_tolerance", at<kOuter, &O::search_tolerance>, 0, 1));
  keys.push_back(text("outer.measure", at<kOuter, &O::measure>, {"test", "validation"}));
}

void append_quality_keys(std::vector<TuneKey>& keys) {
  using Q = TuneQualityConfig;
  keys.push_back(number("quality.runs", at<kQuality, &Q::runs>, 1, 100000));
  keys.push_back(number("quality.memory", at<kQuality, &Q::memory>, 1, 100000));
  keys.push_back(number("quality.period", at<kQuality, &Q::period>, 1, 100000));
  keys.push_back(above("quality.tolerance", at<kQuality, &Q::tolerance>, 0, 1));
  keys.push_back(above("quality.curvature", at<kQuality, &Q::curvature>, 1e-4, 0.999));
  keys.push_back(number("quality.lambda", at<kQuality, &Q::lambda>, -kLargestLambda, kLargestLambda));
  keys.push_back(above("quality.train_fraction", at<kQuality, &Q::train_fraction>, 0, 1));
  keys.push_back(number("quality.split_seed", at<kQuality, &Q::split_seed>, 0, 4294967295.0));
  keys.push_back(number("quality.seed", at<kQuality, &Q::seed>, 0, 1e15));
}

const std::vector<TuneKey>& tune_keys() {
  static const std::vector<TuneKey> keys = [] {
    std::vector<TuneKey> out;
    append_data_keys(out);
    append_run_keys(out);
    append_quality_keys(out);
    return out;
  }();
  return keys;
}

std::string at_line(std::string_view place, const toml::node& node) {
  return concat(place, ":", node.source().begin.line);
}

const TuneKey* find_key(std::string_view name) {
  const std::vector<TuneKey>& keys = tune_keys();
  const auto found = std::find_if(keys.begin(), keys.end(), [&](const TuneKey& key) { return key.rule.name == name; });
  return found == keys.end() ? nullptr : &*found;
}

/// The same key in another section first, then the smallest edit distance.
std::string_view nearest_key(std::string_view name) {
  const std::string_view leaf = name.substr(std::min(name.size(), name.find('.') + 1));
  std::vector<std::string_view> candidates;
  for (const TuneKey& key : tune_keys()) {
    if (key.rule.leaf() == leaf) return key.rule.name;
    candidates.push_back(key.rule.name);
  }
  return nearest_name(name, candidates);
}

std::string_view nearest_section(std::string_view name) {
  constexpr std::array<std::string_view, 5> kSections = {"problem", "data", "inner", "outer", "quality"};
  return nearest_name(name, kSections);
}

void assign_all(TuneConfig& config, const toml::table& table, std::string_view place) {
  for (const auto& [section, content] : table) {
    require(content.is_table(), at_line(place, content), "key '", section.str(),
            "' is outside a section; did you mean '", nearest_key(section.str()), "'?");
    require(nearest_section(section.str()) == section.str(), at_line(place, content), "unknown section [",
            section.str(), "]; did you mean [", nearest_section(section.str()), "]?");
    for (const auto& [leaf, node] : *content.as_table()) {
      const std::string name = concat(section.str(), ".", leaf.str());
      const TuneKey* key = find_key(name);
      require(key != nullptr, at_line(place, node), "unknown key '", name, "'; did you mean '", nearest_key(name),
              "'?");
      assign_value(key->field(config), {at_line(place, node), &key->rule}, node);
    }
  }
}

void check_tune_config(const TuneConfig& config, std::string_view place) {
  const TuneDataConfig& data = config.data;
  require(!data.name.empty(), place, "key 'data.name' is missing: which set, or which file, holds the samples?");
  const double used = data.train_fraction + data.validation_fraction;
  require(used <= 1 + 1e-12, place, "keys 'data.train_fraction' and 'data.validation_fraction' add up to ", used,
          ", expected at most 1");
  require(std::abs(config.outer.lambda) <= config.outer.bound, place, "key 'outer.lambda' is ", config.outer.lambda,
          " but 'outer.bound' keeps lambda within ", config.outer.bound);
  const bool has_classes = config.problem.name == "multinomial" || config.problem.name == "cleaning";
  require(config.problem.penalty != "per-class" || config.problem.name == "multinomial", place,
          "key 'problem.penalty' is 'per-class', which only problem 'multinomial' has");
  require(config.problem.penalty == "shared" || config.problem.name != "cleaning", place, "key 'problem.penalty' is '",
          config.problem.penalty, "', but problem 'cleaning' tunes weights of samples and keeps one penalty");
  require(data.corrupted_fraction == 0 || has_classes, place,
          "key 'data.corrupted_fraction' is above 0, which problem '", config.problem.name, "' has no use for");
}

}  // namespace

TuneConfig parse_tune_config(std::string_view text, std::string_view place) {
  TuneConfig config;
  refuse_deep_keys(text, place);
  try {
    const toml::table table = toml::parse(text, place);
    require(table.contains("problem") || !table.contains("model"), place,
            "is a configuration of `deq train`, not of `deq tune`");
    assign_all(config, table, place);
  } catch (const toml::parse_error& error) {
    throw RequestError(concat(place, ":", error.source().begin.line, ": ", error.description()));
  }
  check_tune_config(config, place);
  return config;
}

TuneConfig load_tune_config(const std::filesystem::path& file) {
  require(!std::filesystem::is_directory(file), file.string(), "is a folder, expected a TOML configuration");
  std::ifstream in(file, std::ios::binary);
  require(in.good(), file.string(), "cannot open the configuration; train/configs holds those that come with deq");
  std::ostringstream text;
  text << in.rdbuf();
  return parse_tune_config(text.str(), file.string());
}

std::string write_tune_config(const TuneConfig& config) {
  TuneConfig copy = config;
  std::string out;
  std::string_view section;
  for (const TuneKey& key : tune_keys()) {
    if (key.rule.section() != section) {
      section = key.rule.section();
      out += concat(out.empty() ? "" : "\n", "[", section, "]\n");
    }
    out += concat(key.rule.leaf(), " = ", value_text(key.field(copy)), "\n");
  }
  return out;
}

}  // namespace deq
