#include <doctest/doctest.h>

#include <map>
#include <sstream>

#include "tests/train/temporary_folder.h"
#include "train/config_keys.h"
#include "train/tune_config.h"

// docs/configuration.md lists every key of `deq train`, and then of `deq tune`, as the program knows it.

namespace deq::test {
namespace {

struct Row {
  std::string default_value, values;
};

std::string without_ticks(std::string cell) {
  std::erase(cell, '`');
  return cell;
}

using Rows = std::map<std::string, Row, std::less<>>;

/// Rows "| `section.key` | `default` | values | meaning |" by key, of the part of the page below the heading `part`.
Rows rows_of_page(std::string_view part) {
  std::istringstream page(read_text(std::filesystem::path(DEQ_CONFIGS) / ".." / ".." / "docs" / "configuration.md"));
  Rows out;
  bool is_there = false;
  for (std::string line; std::getline(page, line);) {
    if (line.starts_with("# ")) is_there = line == concat("# ", part);
    if (!is_there || !line.starts_with("| `")) continue;
    std::vector<std::string> cells;
    for (std::size_t begin = 2, end = 0; (end = line.find(" |", begin)) != std::string::npos; begin = end + 3)
      cells.push_back(line.substr(begin, end - begin));
    REQUIRE(cells.size() >= 4);
    out[without_ticks(cells[0])] = {without_ticks(cells[1]), cells[2]};
  }
  return out;
}

/// "`a`, `b`" of a choice; empty for numbers and free text.
std::string choices_of(const ConfigKey& key, const Field& field) {
  std::string out;
  if (std::holds_alternative<bool*>(field)) return "`false`, `true`";
  for (const std::string_view choice : key.choices) out += concat(out.empty() ? "`" : ", `", choice, "`");
  return out;
}

double number_after(const std::string& text, std::string_view word) {
  const std::size_t at = text.find(word);
  REQUIRE(at != std::string::npos);
  return std::stod(text.substr(at + word.size()));
}

void check_bounds(const ConfigKey& key, const std::string& values) {
  CHECK(number_after(values, key.excludes_minimum ? "above " : "from ") == key.minimum);
  const bool is_bounded = key.maximum < std::numeric_limits<int>::max();
  CHECK((values.find(" to ") != std::string::npos) == is_bounded);
  if (is_bounded) CHECK(number_after(values, " to ") == key.maximum);
}

/// "section.key" and the default of every key of `deq tune`.
std::map<std::string, std::string> tune_defaults() {
  std::istringstream all(write_tune_config({}));
  std::map<std::string, std::string> out;
  std::string section;
  for (std::string line; std::getline(all, line);) {
    if (line.starts_with("[")) section = line.substr(1, line.size() - 2);
    if (const std::size_t equals = line.find(" = "); equals != std::string::npos)
      out[concat(section, ".", line.substr(0, equals))] = line.substr(equals + 3);
  }
  return out;
}

/// A configuration of `deq tune` with `value` for the key and a set.
TuneConfig tune_config_with(const std::string& name, const std::string& value) {
  const std::size_t dot = name.find('.');
  const std::string set = name == "data.name" ? "" : "data.name = \"a\"\n";
  return parse_tune_config(concat(set, name.substr(0, dot), ".", name.substr(dot + 1), " = ", value, "\n"), "page");
}

/// What is wrong with the value; empty: nothing.
std::string refusal_of(const std::string& name, const std::string& value) {
  try {
    (void)tune_config_with(name, value);
  } catch (const RequestError& error) {
    return error.what();
  }
  return {};
}

/// The values that a refusal "(one of a, b)", "must be true or false", "at least a and at most b" speaks of.
void check_values_of_refusal(const std::string& refusal, const std::string& values) {
  if (const std::size_t choices = refusal.find("(one of "); choices != std::string::npos) {
    CHECK(concat("(one of ", without_ticks(values), ")") == refusal.substr(choices));
  } else if (refusal.find("must be true or false") != std::string::npos) {
    CHECK(values == "`false`, `true`");
  } else {
    const bool excludes_minimum = refusal.find("above ") != std::string::npos;
    CHECK(number_after(values, excludes_minimum ? "above " : "from ") ==
          number_after(refusal, excludes_minimum ? "above " : "at least "));
    CHECK(number_after(values, " to ") == number_after(refusal, "at most "));
  }
}

}  // namespace

TEST_CASE("the page of configuration keys has every key with its default and its values") {
  const Rows rows = rows_of_page("Configuration of a training");
  CHECK(rows.size() == config_keys().size());
  for (const ConfigKey& key : config_keys()) {
    CAPTURE(key.name);
    const auto row = rows.find(key.name);
    REQUIRE(row != rows.end());
    const std::string text = concat("[", key.section(), "]\n", key.leaf(), " = ", row->second.default_value, "\n");
    CHECK(parse_config(text, "page") == Config{});
    Config config;
    const Field field = key.field(config);
    if (const std::string choices = choices_of(key, field); !choices.empty())
      CHECK(row->second.values == choices);
    else if (std::holds_alternative<std::string*>(field))
      CHECK(row->second.values == "text");
    else
      check_bounds(key, row->second.values);
  }
}

TEST_CASE("the page of configuration keys has every key of deq tune with its default and its values") {
  const Rows rows = rows_of_page("Configuration of a tuning");
  const std::map<std::string, std::string> defaults = tune_defaults();
  CHECK(rows.size() == defaults.size());
  for (const auto& [name, value] : defaults) {
    CAPTURE(name);
    const auto row = rows.find(name);
    REQUIRE(row != rows.end());
    const auto& [shown, values] = row->second;
    if (name == "data.name")
      CHECK(shown == value);  // empty, which is refused
    else
      CHECK(tune_config_with(name, shown) == tune_config_with(name, value));
    const bool is_text = value.starts_with("\""), is_real = value.find_first_of(".e") != std::string::npos;
    const std::string refusal = refusal_of(name, is_text ? "\"?\"" : is_real ? "-9e15" : "-9000000000000000");
    CHECK((values == "text") == refusal.empty());
    if (!refusal.empty()) check_values_of_refusal(refusal, values);
    if (!is_text && value != "true") CHECK(values.starts_with(is_real ? "number " : "integer "));
  }
}

}  // namespace deq::test
