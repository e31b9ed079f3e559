#include "train/config.h"

#include <toml++/toml.h>

#include <charconv>
#include <cmath>
#include <fstream>
#include <set>
#include <sstream>
#include <utility>

#include "core/error.h"
#include "train/config_keys.h"
#include "train/nearest.h"

namespace deq {

namespace {

/// Where a value came from and which key it is for, for messages.
struct Origin {
  std::string place;  ///< "file.toml:12" or "--set"
  const ConfigKey* key = nullptr;
};

template <class... Parts>
[[noreturn]] void fail(const Origin& origin, const Parts&... parts) {
  throw RequestError(concat(origin.place, ": key '", origin.key->name, "' ", parts...));
}

std::string found(const toml::node& node) {
  std::ostringstream out;
  switch (node.type()) {
    case toml::node_type::string: out << "the string "; break;
    case toml::node_type::integer: out << "the integer "; break;
    case toml::node_type::floating_point: out << "the number "; break;
    case toml::node_type::boolean: out << "the boolean "; break;
    case toml::node_type::array: out << "the list "; break;
    case toml::node_type::table: return "a table";
    case toml::node_type::none:
    case toml::node_type::date:
    case toml::node_type::time:
    case toml::node_type::date_time: return "a date";
  }
  node.visit([&](const auto& value) { out << value; });
  return out.str();
}

void check_range(const Origin& origin, double value) {
  const ConfigKey& key = *origin.key;
  const bool is_high_enough = key.excludes_minimum ? value > key.minimum : value >= key.minimum;
  if (std::isfinite(value) && is_high_enough && value <= key.maximum) return;
  std::ostringstream range;
  range.precision(10);
  range << (key.excludes_minimum ? "above " : "at least ") << key.minimum;
  if (std::isfinite(key.maximum)) range << " and at most " << key.maximum;
  fail(origin, "is ", value, " but must be ", range.str());
}

std::int64_t read_integer(const Origin& origin, const toml::node& node) {
  if (!node.is_integer()) fail(origin, "must be an integer, found ", found(node));
  const std::int64_t value = node.as_integer()->get();
  check_range(origin, static_cast<double>(value));
  return value;
}

double read_number(const Origin& origin, const toml::node& node) {
  if (!node.is_number()) fail(origin, "must be a number, found ", found(node));
  const double value = *node.value<double>();
  check_range(origin, value);
  return value;
}

const toml::array& read_list(const Origin& origin, const toml::node& node) {
  if (!node.is_array()) fail(origin, "must be a list of numbers, found ", found(node));
  return *node.as_array();
}

std::string read_text(const Origin& origin, const toml::node& node) {
  if (!node.is_string()) fail(origin, "must be a string, found ", found(node));
  std::string value = node.as_string()->get();
  const std::vector<std::string_view>& choices = origin.key->choices;
  if (choices.empty()) return value;
  std::string all;
  for (const std::string_view choice : choices) {
    if (choice == value) return value;
    all += concat(all.empty() ? "" : ", ", choice);
  }
  fail(origin, "is '", value, "'; did you mean '", nearest_name(value, choices), "'? (one of ", all, ")");
}

/// Writes the value of `node` into the field, with its type and range checked.
void assign(Config& config, const Origin& origin, const toml::node& node) {
  struct Visitor {
    const Origin& origin;
    const toml::node& node;
    void operator()(bool* field) const {
      if (!node.is_boolean()) fail(origin, "must be true or false, found ", found(node));
      *field = node.as_boolean()->get();
    }
    void operator()(int* field) const { *field = static_cast<int>(read_integer(origin, node)); }
    void operator()(std::int64_t* field) const { *field = read_integer(origin, node); }
    void operator()(double* field) const { *field = read_number(origin, node); }
    void operator()(std::string* field) const { *field = read_text(origin, node); }
    void operator()(std::vector<int>* field) const {
      field->clear();
      for (const toml::node& entry : read_list(origin, node))
        field->push_back(static_cast<int>(read_integer(origin, entry)));
    }
    void operator()(std::vector<double>* field) const {
      field->clear();
      for (const toml::node& entry : read_list(origin, node)) field->push_back(read_number(origin, entry));
    }
  };
  std::visit(Visitor{origin, node}, origin.key->field(config));
}

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
      assign(config, {at_line(place, node), key}, node);
      seen.insert(key->name);
    }
  }
  return seen;
}

/// Parses "section.key=value"; a string may be given without quotes.
const ConfigKey* assign_override(Config& config, const std::string& assignment) {
  const std::size_t equals = assignment.find('=');
  require(equals != std::string::npos, "--set", "'", assignment, "' is not of the form section.key=value");
  const std::string name = assignment.substr(0, equals);
  const std::string text = assignment.substr(equals + 1);
  const ConfigKey* key = find_config_key(name);
  require(key != nullptr, "--set", "unknown key '", name, "'; did you mean '", nearest_config_key(name), "'?");
  const Origin origin{"--set", key};
  if (std::holds_alternative<std::string*>(key->field(config)) && !text.starts_with('"') && !text.starts_with('\'')) {
    const toml::value<std::string> value(text);
    assign(config, origin, value);
    return key;
  }
  try {
    const toml::table table = toml::parse("value = " + text + "\n");
    if (table.size() != 1) fail(origin, "takes one value, found '", text, "'");
    assign(config, origin, *table.get("value"));
  } catch (const toml::parse_error&) {
    fail(origin, "cannot be read from '", text, "'");
  }
  return key;
}

/// Shortest text that reads back as the same double, always recognisable as a TOML float.
std::string number_text(double value) {
  char buffer[40];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value).ptr;
  std::string out(buffer, end);
  if (out.find_first_of(".e") == std::string::npos) out += ".0";
  return out;
}

std::string text_of(const std::string& value) {
  std::ostringstream out;
  const toml::value<std::string> quoted(value);
  out << toml::toml_formatter(quoted, toml::format_flags::none);
  return out.str();
}

std::string text_of(const Field& field) {
  struct Visitor {
    std::string operator()(const bool* value) const { return *value ? "true" : "false"; }
    std::string operator()(const int* value) const { return std::to_string(*value); }
    std::string operator()(const std::int64_t* value) const { return std::to_string(*value); }
    std::string operator()(const double* value) const { return number_text(*value); }
    std::string operator()(const std::string* value) const { return text_of(*value); }
    std::string operator()(const std::vector<int>* values) const {
      std::string out;
      for (const int value : *values) out += (out.empty() ? "" : ", ") + std::to_string(value);
      return "[" + out + "]";
    }
    std::string operator()(const std::vector<double>* values) const {
      std::string out;
      for (const double value : *values) out += (out.empty() ? "" : ", ") + number_text(value);
      return "[" + out + "]";
    }
  };
  return std::visit(Visitor{}, field);
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
  try {
    given = assign_all(config, toml::parse(text, place), place);
  } catch (const toml::parse_error& error) {
    throw RequestError(concat(place, ":", error.source().begin.line, ": ", error.description()));
  }
  for (const std::string& assignment : overrides) given.insert(assign_override(config, assignment)->name);
  fill_branches(config.model, given);
  check_config(config, place);
  return config;
}

Config load_config(const std::filesystem::path& file, std::span<const std::string> overrides) {
  require(!std::filesystem::is_directory(file), file.string(), "is a folder, expected a TOML configuration");
  std::ifstream in(file, std::ios::binary);
  require(in.good(), file.string(), "cannot open the configuration; train/configs holds those that come with deq");
  std::ostringstream text;
  text << in.rdbuf();
  return parse_config(text.str(), file.string(), overrides);
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
    out += concat(key.leaf(), " = ", text_of(key.field(copy)), "\n");
  }
  return out;
}

}  // namespace deq
