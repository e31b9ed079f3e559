#include "train/config.h"

#include <toml++/toml.h>

#include <fstream>
#include <set>
#include <sstream>
#include <utility>

#include "core/error.h"
#include "train/config_keys.h"
#include "train/config_override.h"
#include "train/config_value.h"
#include "train/nearest.h"
#include "train/toml_depth.h"

namespace deq {

namespace {

std::string at_line(std::string_view place, const toml::node& node) {
  return concat(place, ":", node.source().begin.line);
}

std::string_view nearest_section(std::string_view name) {
  std::vector<std::string_view> sections;
  for (const ConfigKey& key : config_keys())
    if (sections.empty() || sections.back() != key.section()) sections.push_back(key.section());
  return nearest_name(name, sections);
}

bool is_section(std::string_view name) { return nearest_section(name) == name; }

/// Reads every section of `table`; returns the keys that were present.
std::set<std::string_view> assign_all(Config& config, const toml::table& table, std::string_view place) {
  std::set<std::string_view> seen;
  for (const auto& [section, content] : table) {
    require(content.is_table(), at_line(place, content), "key '", section.str(),
            "' is outside a section; did you mean '", nearest_config_key(section.str()), "'?");
    require(is_section(section.str()), at_line(place, content), "unknown section [", section.str(), "]; did you mean [",
            nearest_section(section.str()), "]?");
    for (const auto& [leaf, node] : *content.as_table()) {
      const std::string name = concat(section.str(), ".", leaf.str());
      const ConfigKey* key = find_config_key(name);
      require(key != nullptr, at_line(place, node), "unknown key '", name, "'; did you mean '",
              nearest_config_key(name), "'?");
      assign_value(key->field(config), {at_line(place, node), key}, node);
      seen.insert(key->name);
    }
  }
  return seen;
}

/// Lists of one entry a branch that nobody gave follow the number of branches.
void fill_branches(ModelConfig& model, const std::set<std::string_view>& given) {
  if (!given.contains("model.num_blocks")) model.num_blocks.assign(model.channels.size(), 1);
  if (!given.contains("model.big_kernels")) model.big_kernels.assign(model.channels.size(), 0);
}

}  // namespace

Config parse_config(std::string_view text, std::string_view place, std::span<const std::string> overrides) {
  Config config;
  std::set<std::string_view> given;
  refuse_deep_keys(text, place);
  try {
    const toml::table table = toml::parse(text, place);
    require(!table.contains("problem") || table.contains("model"), place, "is a configuration of `deq tune`");
    given = assign_all(config, table, place);
  } catch (const toml::parse_error& error) {
    throw RequestError(concat(place, ":", error.source().begin.line, ": ", error.description()));
  }
  for (const std::string& assignment : overrides) given.insert(override_key(config, assignment).name);
  fill_branches(config.model, given);
  check_config(config, place);
  return config;
}

Config load_config(const std::filesystem::path& file, std::span<const std::string> overrides) {
  require(!std::filesystem::is_directory(file), file.string(), "is a folder, expected a TOML configuration");
  std::ifstream in(file, std::ios::binary);
  require(in.good(), file.string(), "cannot open the configuration; train/configs holds those that come with deq");
  // A pipe may be one; a device that never ends is none.
  constexpr std::streamsize kLargestFile = 1 << 20;
  std::string text(kLargestFile + 1, '\0');
  in.read(text.data(), std::ssize(text));
  require(in.gcount() <= kLargestFile, file.string(), "is longer than 1 MiB, expected a TOML configuration");
  text.resize(static_cast<std::size_t>(in.gcount()));
  return parse_config(text, file.string(), overrides);
}

std::string write_config(const Config& config) {
  Config copy = config;
  std::string out;
  std::string_view section;
  for (const ConfigKey& key : config_keys()) {
    if (key.section() != section) {
      section = key.section();
      out += concat(out.empty() ? "" : "\n", "[", section, "]\n");
    }
    out += concat(key.leaf(), " = ", value_text(key.field(copy)), "\n");
  }
  return out;
}

}  // namespace deq
