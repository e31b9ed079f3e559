#include "train/config_value.h"

#include <charconv>
#include <cmath>

#include "train/nearest.h"

namespace deq {

namespace {

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

void check_range(const ValueOrigin& origin, double value) {
  const ConfigKey& key = *origin.key;
  const bool is_high_enough = key.excludes_minimum ? value > key.minimum : value >= key.minimum;
  if (std::isfinite(value) && is_high_enough && value <= key.maximum) return;
  std::ostringstream range;
  range.precision(10);
  range << (key.excludes_minimum ? "above " : "at least ") << key.minimum;
  if (std::isfinite(key.maximum)) range << " and at most " << key.maximum;
  refuse_value(origin, "is ", value, " but must be ", range.str());
}

std::int64_t read_integer(const ValueOrigin& origin, const toml::node& node) {
  if (!node.is_integer()) refuse_value(origin, "must be an integer, found ", found(node));
  const std::int64_t value = node.as_integer()->get();
  check_range(origin, static_cast<double>(value));
  return value;
}

double read_number(const ValueOrigin& origin, const toml::node& node) {
  if (!node.is_number()) refuse_value(origin, "must be a number, found ", found(node));
  const double value = *node.value<double>();
  check_range(origin, value);
  return value;
}

const toml::array& read_list(const ValueOrigin& origin, const toml::node& node) {
  if (!node.is_array()) refuse_value(origin, "must be a list of numbers, found ", found(node));
  return *node.as_array();
}

std::string read_text(const ValueOrigin& origin, const toml::node& node) {
  if (!node.is_string()) refuse_value(origin, "must be a string, found ", found(node));
  std::string value = node.as_string()->get();
  const std::vector<std::string_view>& choices = origin.key->choices;
  if (choices.empty()) return value;
  std::string all;
  for (const std::string_view choice : choices) {
    if (choice == value) return value;
    all += concat(all.empty() ? "" : ", ", choice);
  }
  refuse_value(origin, "is '", value, "'; did you mean '", nearest_name(value, choices), "'? (one of ", all, ")");
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

}  // namespace

void assign_value(const Field& field, const ValueOrigin& origin, const toml::node& node) {
  struct Visitor {
    const ValueOrigin& origin;
    const toml::node& node;
    void operator()(bool* field) const {
      if (!node.is_boolean()) refuse_value(origin, "must be true or false, found ", found(node));
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
  std::visit(Visitor{origin, node}, field);
}

std::string value_text(const Field& field) {
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

}  // namespace deq
