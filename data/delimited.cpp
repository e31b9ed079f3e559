#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <set>
#include <utility>

#include "core/error.h"
#include "data/compressed_file.h"
#include "data/table.h"

namespace deq {
namespace {

struct Line {
  std::int64_t number = 0;  ///< from 1
  std::vector<std::string> fields;
};

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

/// The fields of one line. A quoted field may hold separators and doubled quotes.
std::vector<std::string> split_fields(std::string_view line, char separator, const std::string& where) {
  std::vector<std::string> fields;
  for (bool is_more = true; is_more;) {
    const auto start = line.find_first_not_of(' ');
    std::string field;
    if (start != std::string_view::npos && line[start] == '"') {
      std::size_t at = start + 1;
      for (; at < line.size() && (line[at] != '"' || (at + 1 < line.size() && line[at + 1] == '"')); ++at) {
        if (line[at] == '"') ++at;
        field += line[at];
      }
      require(at < line.size(), where, "field ", fields.size() + 1, ": no closing quote");
      line.remove_prefix(at + 1);
      const auto end = std::min(line.find(separator), line.size());
      require(trimmed(line.substr(0, end)).empty(), where, "field ", fields.size() + 1,
              ": text after the closing quote");
      is_more = end < line.size();
      line.remove_prefix(std::min(end + 1, line.size()));
    } else {
      const auto end = std::min(line.find(separator), line.size());
      field = trimmed(line.substr(0, end));
      is_more = end < line.size();
      line.remove_prefix(std::min(end + 1, line.size()));
    }
    fields.push_back(std::move(field));
  }
  return fields;
}

/// Lines that are not empty; all with the number of fields of the first.
std::vector<Line> split_lines(std::string_view text, char separator, const std::string& name) {
  std::vector<Line> lines;
  for (std::int64_t number = 1; !text.empty(); ++number) {
    const auto end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (trimmed(line).empty()) continue;
    const std::string where = concat(name, ":", number);
    lines.push_back({number, split_fields(line, separator, where)});
    require(lines.back().fields.size() == lines.front().fields.size(), where, lines.back().fields.size(),
            " fields; line ", lines.front().number, " has ", lines.front().fields.size());
  }
  require(!lines.empty(), name, "holds no rows");
  return lines;
}

std::optional<double> number_of(std::string_view field) {
  if (field.starts_with('+') && !field.starts_with("+-")) field.remove_prefix(1);
  double number = 0;
  const auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), number);
  if (error != std::errc{} || end != field.data() + field.size()) return std::nullopt;
  return number;
}

/// Which columns are what.
struct Columns {
  std::vector<int> features;
  int label = 0;
};

Columns columns_of(const std::vector<std::string>& first_line, const DelimitedOptions& options, bool has_header,
                   const std::string& name) {
  const int count = static_cast<int>(first_line.size());
  Columns columns{.features = {}, .label = options.label_column + (options.label_column < 0 ? count : 0)};
  if (!options.label_name.empty()) {
    require(has_header, name, "the label column is given by name ('", options.label_name, "') but there is no header");
    const auto found = std::ranges::find(first_line, options.label_name);
    require(found != first_line.end(), name, "no column is called '", options.label_name, "'");
    columns.label = static_cast<int>(found - first_line.begin());
  }
  require(0 <= columns.label && columns.label < count, name, "label column ", options.label_column, " of ", count);
  std::set<int> left_out = {columns.label};
  for (const int column : options.skipped_columns) {
    require(0 <= column && column < count, name, "column ", column, " is to be skipped but there are ", count,
            " (from 0)");
    left_out.insert(column);
  }
  for (int column = 0; column < count; ++column)
    if (!left_out.contains(column)) columns.features.push_back(column);
  require(!columns.features.empty(), name, "no column is left for features");
  return columns;
}

/// The distinct words of the labels, ascending; none when all are numbers.
std::vector<std::string> label_words_of(const std::vector<Line>& lines, int column, const std::string& name) {
  std::set<std::string> words;
  bool are_numbers = true;
  for (const Line& line : lines) {
    const std::string& field = line.fields[column];
    require(!field.empty(), concat(name, ":", line.number), "field ", column + 1, ": the label is missing");
    const auto number = number_of(field);
    require(!number || std::isfinite(*number), concat(name, ":", line.number), "field ", column + 1, ": label '", field,
            "' is not finite");
    are_numbers = are_numbers && number.has_value();
    words.insert(field);
  }
  if (are_numbers) return {};
  return {words.begin(), words.end()};
}

/// "ant, bee, ..." of the first words; "numbers" for none.
std::string listing_of(const std::vector<std::string>& words) {
  constexpr std::size_t kMostShown = 10;
  std::string out = words.empty() ? "numbers" : "";
  for (std::size_t i = 0; i < std::min(words.size(), kMostShown); ++i) out += concat(i > 0 ? ", " : "", words[i]);
  return words.size() > kMostShown ? concat(out, ", and ", words.size() - kMostShown, " more") : out;
}

/// Labels as numbers where all are, as positions among the words otherwise.
void set_labels(Table& table, const std::vector<Line>& lines, int column, const DelimitedOptions& options,
                const std::string& name) {
  table.label_words = label_words_of(lines, column, name);
  if (options.known_labels) table.label_words = *options.known_labels;
  for (const Line& line : lines) {
    const std::string& field = line.fields[column];
    const auto place = std::ranges::lower_bound(table.label_words, field);
    const bool is_word = place != table.label_words.end() && *place == field;
    const auto number = table.label_words.empty() ? number_of(field) : std::nullopt;
    require(is_word || number, concat(name, ":", line.number), "field ", column + 1, ": label '", field,
            "' does not occur in the training part (", listing_of(table.label_words), ")");
    table.labels.push_back(number ? *number : static_cast<double>(place - table.label_words.begin()));
  }
}

}  // namespace

Table parse_delimited(std::string_view text, const DelimitedOptions& options, const std::string& name) {
  std::vector<Line> lines = split_lines(text, options.separator, name);
  const std::vector<std::string> first_line = lines.front().fields;
  bool has_header = options.header == HeaderLine::present || !options.label_name.empty();
  if (options.header == HeaderLine::automatic && !has_header) {
    const Columns columns = columns_of(first_line, options, false, name);
    has_header = lines.size() > 1 && std::ranges::none_of(columns.features, [&](int column) {
                   return number_of(first_line[column]).has_value() || first_line[column].empty();
                 });
  }
  const Columns columns = columns_of(first_line, options, has_header && options.header != HeaderLine::absent, name);
  Table table;
  if (has_header) {
    for (const int column : columns.features) table.feature_names.push_back(first_line[column]);
    lines.erase(lines.begin());
  }
  require(!lines.empty(), name, "holds a header but no rows");
  table.rows = static_cast<std::int64_t>(lines.size());
  table.columns = static_cast<std::int64_t>(columns.features.size());
  table.values.reserve(table.rows * table.columns);
  for (const Line& line : lines) {
    for (const int column : columns.features) {
      const auto value = number_of(line.fields[column]);
      require(value && std::isfinite(*value), concat(name, ":", line.number), "field ", column + 1, ": '",
              line.fields[column], "' is not a finite number",
              line.fields[column].empty() || line.fields[column] == "?" ? " (missing values are not supported)" : "");
      table.values.push_back(*value);
    }
  }
  set_labels(table, lines, columns.label, options, name);
  return table;
}

Table read_delimited(const std::filesystem::path& path, const DelimitedOptions& options) {
  return parse_delimited(read_text(path), options, path.string());
}

}  // namespace deq
