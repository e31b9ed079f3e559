#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/samples.h"

namespace deq {

/// Dense examples with one label each.
struct Table {
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  std::vector<double> values;              ///< [rows, columns]
  std::vector<double> labels;              ///< [rows]; of words, their position in `label_words`
  std::vector<std::string> feature_names;  ///< [columns]; empty without a header
  std::vector<std::string> label_words;    ///< ascending; empty when labels are numbers
};

/// Whether the first line of a delimited file names the columns; `automatic`: when a feature on it is not a number.
enum class HeaderLine : std::uint8_t { automatic, present, absent };

struct DelimitedOptions {
  char separator = ',';
  HeaderLine header = HeaderLine::automatic;
  int label_column = -1;               ///< from 0; negative ones count from the end
  std::string label_name{};            ///< instead of `label_column`: its name in the header
  std::vector<int> skipped_columns{};  ///< neither features nor label (numbers of a record, ...)
  /// `label_words` of the part that these labels must agree with; absent: the file has labels of its own.
  std::optional<std::vector<std::string>> known_labels{};
};

/// Reads delimited text (CSV), plain or packed: every column but the label and the skipped ones is a feature. Fields
/// may stand in double quotes. Labels are numbers, or words when any of them is not a number. Errors: RequestError
/// naming file, line and field (both from 1) of a value that is not a finite number, a missing value, a line with
/// another number of fields, a label that `known_labels` does not have; and of a column that is not there, or a file
/// without rows.
Table read_delimited(const std::filesystem::path& path, const DelimitedOptions& options = {});
/// The same on text in memory; `name` stands for the file in messages.
Table parse_delimited(std::string_view text, const DelimitedOptions& options, const std::string& name);

/// Reads features [rows, columns] and labels [rows] from .npy files of any element type.
/// Errors: RequestError naming the file when shapes do not fit or a value is not finite, with its position.
Table read_npy_table(const std::filesystem::path& features, const std::filesystem::path& labels);

/// The same samples as a sparse matrix.
Samples to_samples(const Table& table);

}  // namespace deq
