#include <doctest/doctest.h>

#include <map>
#include <sstream>

#include "tests/train/temporary_folder.h"
#include "train/config_keys.h"

// docs/configuration.md lists every key as the program knows it.

namespace deq::test {
namespace {

struct Row {
  std::string default_value, values;
};

std::string without_ticks(std::string cell) {
  std::erase(cell, '`');
  return cell;
}

/// Rows "| `section.key` | `default` | values | meaning |" by key.
std::map<std::string, Row, std::less<>> rows_of_page() {
  std::istringstream page(read_text(std::filesystem::path(DEQ_CONFIGS) / ".." / ".." / "docs" / "configuration.md"));
  std::map<std::string, Row, std::less<>> out;
  for (std::string line; std::getline(page, line);) {
    if (!line.starts_with("| `")) continue;
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

}  // namespace

TEST_CASE("the page of configuration keys has every key with its default and its values") {
  const auto rows = rows_of_page();
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

}  // namespace deq::test
