#include "train/config_override.h"

#include <toml++/toml.h>

#include "core/error.h"
#include "train/config_value.h"
#include "train/toml_depth.h"

namespace deq {

const ConfigKey& overridden_key(const std::string& assignment) {
  const std::size_t equals = assignment.find('=');
  require(equals != std::string::npos, "--set", "'", assignment, "' is not of the form section.key=value");
  const std::string name = assignment.substr(0, equals);
  const ConfigKey* key = find_config_key(name);
  require(key != nullptr, "--set", "unknown key '", name, "'; did you mean '", nearest_config_key(name), "'?");
  return *key;
}

const ConfigKey& override_key(Config& config, const std::string& assignment) {
  const ConfigKey& key = overridden_key(assignment);
  const std::string text = assignment.substr(key.name.size() + 1);
  const ValueOrigin origin{"--set", &key};
  if (std::holds_alternative<std::string*>(key.field(config)) && !text.starts_with('"') && !text.starts_with('\'')) {
    const toml::value<std::string> value(text);
    assign_value(key.field(config), origin, value);
    return key;
  }
  if (line_of_deep_key(text) != 0) refuse_value(origin, "cannot be read from '", text, "'");
  try {
    const toml::table table = toml::parse("value = " + text + "\n");
    if (table.size() != 1) refuse_value(origin, "takes one value, found '", text, "'");
    assign_value(key.field(config), origin, *table.get("value"));
  } catch (const toml::parse_error&) {
    refuse_value(origin, "cannot be read from '", text, "'");
  }
  return key;
}

}  // namespace deq
