#include "data/tabular.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "core/error.h"
#include "data/column_scaling.h"
#include "data/label_map.h"
#include "data/libsvm.h"
#include "data/published_set.h"
#include "data/table.h"

namespace deq {
namespace {

constexpr std::array kKnown = {
    KnownTabularSet{"20news", "20news_vectorized.train.bz2, 20news_vectorized.test.bz2", "rows of Euclidean norm 1"},
    KnownTabularSet{"a9a", "a9a, a9a.t", "as it is"},
    KnownTabularSet{"a1a", "a1a", "as it is"},
    KnownTabularSet{"mushrooms", "mushrooms", "as it is"},
    KnownTabularSet{"breast-cancer", "breast-cancer_scale", "as it is"},
    KnownTabularSet{"diabetes", "diabetes_scale", "as it is"},
    KnownTabularSet{"heart", "heart_scale", "as it is"},
    KnownTabularSet{"wdbc", "wdbc.data", "features divided by their standard deviation"},
    KnownTabularSet{"digits", "optdigits.tra, optdigits.tes", "pixels from 0 to 1"},
};

/// The first of `directory`/`folder`/`file` and `directory`/`file` that exists.
std::filesystem::path find_file(const std::filesystem::path& directory, std::string_view folder,
                                std::string_view file) {
  for (const auto& path : {directory / folder / file, directory / file})
    if (std::filesystem::is_regular_file(path)) return path;
  const std::string where = "say where it is with --data DIR or DEQ_DATA_DIR";
  const auto sets = published_sets();
  const auto set = std::ranges::find_if(sets, [&](const PublishedSet& known) {
    return std::ranges::find(known.files, file, &PublishedFile::name) != known.files.end();
  });
  throw RequestError(concat((directory / folder / file).string(), ": no such file, nor ", (directory / file).string(),
                            "; ", set == sets.end() ? "" : concat("get it with `deq data fetch ", set->name, "` and "),
                            where));
}

/// Labels of the task, learnt from the train part, and one number of features for both parts.
TabularSet finished(TabularSet set, LabelTask task, bool is_around_mean) {
  const std::string& name = set.name;
  require(set.train.features.columns() > 0, name, "no sample has a feature; expected `label index:value ...` lines");
  const LabelMap map = task == LabelTask::classes ? LabelMap::classes(set.train.labels, name)
                       : is_around_mean           ? LabelMap::around_mean(set.train.labels, name)
                                                  : LabelMap::binary(set.train.labels, name);
  set.class_count = map.class_count();
  set.train.labels = map.apply(set.train.labels, name);
  if (set.test.features.rows() == 0) return set;
  set.test.labels = map.apply(set.test.labels, name + " (test part)");
  const std::int64_t columns = std::max(set.train.features.columns(), set.test.features.columns());
  set.train.features = set.train.features.with_columns(columns);
  set.test.features = set.test.features.with_columns(columns);
  return set;
}

Table scaled_digits(const std::filesystem::path& path) {
  Table table = read_delimited(path, {.header = HeaderLine::absent});
  constexpr double kMostInk = 16;
  for (double& value : table.values) value /= kMostInk;
  return table;
}

Samples wdbc_samples(const std::filesystem::path& path, LabelTask task) {
  Table table = read_delimited(path, {.header = HeaderLine::absent, .label_column = 1, .skipped_columns = {0}});
  require(table.label_words == std::vector<std::string>{"B", "M"}, path.string(),
          "expected the diagnoses B and M in the second field");
  ColumnScaling(ColumnScaling::Kind::unit_deviation, table).apply(table);
  if (task == LabelTask::binary)
    for (double& label : table.labels) label = label == 0 ? 1 : -1;  // benign is +1 in published experiments
  return to_samples(table);
}

TabularSet open_known(const std::string& name, const std::filesystem::path& directory, LabelTask task) {
  TabularSet set{.name = name, .train = {}, .test = {}};
  if (name == "20news") {
    set.train = read_libsvm(find_file(directory, name, "20news_vectorized.train.bz2"));
    set.test = read_libsvm(find_file(directory, name, "20news_vectorized.test.bz2"));
    set.train.features = set.train.features.with_unit_rows();
    set.test.features = set.test.features.with_unit_rows();
    return finished(std::move(set), task, true);
  }
  if (name == "wdbc") {
    set.train = wdbc_samples(find_file(directory, name, "wdbc.data"), task);
    return finished(std::move(set), task, false);
  }
  if (name == "digits") {
    set.train = to_samples(scaled_digits(find_file(directory, name, "optdigits.tra")));
    set.test = to_samples(scaled_digits(find_file(directory, name, "optdigits.tes")));
    return finished(std::move(set), task, false);
  }
  const bool is_scaled = name == "breast-cancer" || name == "diabetes" || name == "heart";
  set.train = read_libsvm(find_file(directory, "libsvm", is_scaled ? name + "_scale" : name));
  if (name == "a9a") set.test = read_libsvm(find_file(directory, "libsvm", "a9a.t"));
  return finished(std::move(set), task, false);
}

/// A part of a set in the format of `extension`. `words`: those of the labels, learnt by the first part.
Samples read_samples(const std::filesystem::path& path, const std::filesystem::path& extension,
                     std::optional<std::vector<std::string>>& words) {
  if (extension == ".csv") {
    const Table table = read_delimited(path, {.known_labels = words});
    words = table.label_words;
    return to_samples(table);
  }
  if (extension != ".npy") return read_libsvm(path);
  auto labels = path;
  labels.replace_extension(".labels.npy");
  require(std::filesystem::is_regular_file(labels), path.string(), "its labels are expected in ", labels.string(),
          ", which is not there");
  return to_samples(read_npy_table(path, labels));
}

TabularSet open_file(const std::filesystem::path& path, LabelTask task) {
  const std::filesystem::path extension = path.extension();
  std::optional<std::vector<std::string>> words;
  TabularSet set{.name = path.string(), .train = read_samples(path, extension, words), .test = {}};
  const auto beside = path.parent_path() / concat(path.stem().string(), ".test", extension.string());
  for (const std::filesystem::path& test : {std::filesystem::path(path.string() + ".t"), beside}) {
    if (!std::filesystem::is_regular_file(test)) continue;
    set.test = read_samples(test, extension, words);
    break;
  }
  return finished(std::move(set), task, false);
}

}  // namespace

std::span<const KnownTabularSet> known_tabular_sets() { return kKnown; }

TabularSet open_tabular(const std::string& name, const std::filesystem::path& directory, LabelTask task) {
  if (std::ranges::find(kKnown, name, &KnownTabularSet::name) != kKnown.end()) return open_known(name, directory, task);
  for (const auto& path : {std::filesystem::path(name), directory / name})
    if (std::filesystem::is_regular_file(path)) return open_file(path, task);
  std::string names;
  for (const KnownTabularSet& set : kKnown) names += concat(names.empty() ? "" : ", ", set.name);
  throw RequestError(
      concat("data set '", name, "' is neither known (", names, ") nor a file, here or in ", directory.string()));
}

}  // namespace deq
