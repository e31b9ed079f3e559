#include "data/tabular.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <iostream>
#include <map>
#include <set>

#include "data/column_scaling.h"
#include "data/file.h"
#include "data/label_map.h"
#include "data/label_noise.h"
#include "data/legacy_permutation.h"
#include "data/npy.h"
#include "data/row_split.h"
#include "data/table.h"
#include "tests/data/temporary_folder.h"

namespace deq {
namespace {

using testing::request_error_of;
using testing::TemporaryFolder;

using Rows = std::vector<std::int64_t>;

Rows first_of(const Rows& rows, std::size_t count) { return {rows.begin(), rows.begin() + count}; }

TEST_CASE("the legacy permutation is that of NumPy's RandomState") {
  // numpy.random.RandomState(3).permutation(10)
  CHECK(legacy_permutation(3, 10) == Rows{5, 4, 1, 2, 9, 6, 7, 0, 3, 8});
  CHECK(legacy_permutation(0, 1) == Rows{0});
  // The first rows that the published split of wdbc keeps: test_size 0.8, random_state 3.
  const TwoParts parts = hold_out(569, 456, 3);
  CHECK(parts.kept.size() == 113);
  CHECK(first_of(parts.kept, 10) == Rows{100, 19, 515, 554, 264, 276, 8, 363, 309, 283});
}

TEST_CASE("splits have the published sizes, cover every row once and depend on the seed") {
  const RowSplit split = split_rows(18846, {90, 5, 5}, 0, "20news");
  CHECK(split.train.size() == 16961);
  CHECK(split.validation.size() == 943);
  CHECK(split.test.size() == 942);
  CHECK(first_of(split.train, 5) == Rows{16335, 10855, 4855, 737, 747});  // numpy.random.RandomState(0), [1885:1890]
  std::set<std::int64_t> all;
  for (const Rows* part : {&split.train, &split.validation, &split.test}) all.insert(part->begin(), part->end());
  CHECK(all.size() == 18846);
  CHECK(*all.rbegin() == 18845);
  CHECK(split_rows(18846, {90, 5, 5}, 1, "20news").train != split.train);
  CHECK(split_rows(72309, {0.9, 0.05, 0.05}, 4, "real-sim").validation.size() == 3616);
  CHECK(split_rows(8, {50, 25, 25}, 0, "x").test.size() == 2);
  CHECK(split_rows(8, {3, 1, 0}, 0, "x").test.empty());
}

TEST_CASE("splits with an empty part are refused with the sizes") {
  CHECK(request_error_of([] { split_rows(3, {90, 5, 5}, 0, "tiny"); }).find("tiny: an empty part: 3 rows") == 0);
  CHECK(request_error_of([] { split_rows(100, {1, 0, 1}, 0, "x"); }).find("0 validation") != std::string::npos);
  CHECK(request_error_of([] { split_rows(100, {0, 0, 0}, 0, "x"); }).find("shares") != std::string::npos);
  CHECK(request_error_of([] { split_rows(100, {2, -1, 1}, 0, "x"); }).find("2 : -1 : 1") != std::string::npos);
}

TEST_CASE("labels are mapped by what the training part holds") {
  const std::vector<double> labels = {2, 1, 2, 2};
  CHECK(LabelMap::binary(labels, "x").apply(labels, "x") == std::vector<double>{1, -1, 1, 1});
  const std::vector<double> classes = {7, 3, 5, 3};
  CHECK(LabelMap::classes(classes, "x").apply(classes, "x") == std::vector<double>{2, 0, 1, 0});
  CHECK(LabelMap::around_mean(classes, "x").apply(classes, "x") == std::vector<double>{1, -1, 1, -1});  // mean 4.5
  CHECK(LabelMap::around_mean(std::vector<double>{1, 2, 3}, "x").apply(std::vector<double>{2}, "x")[0] == 1);
}

TEST_CASE("label sets that do not fit the task are listed") {
  const std::vector<double> three = {1, 2, 2, 3};
  const auto message = request_error_of([&] { LabelMap::binary(three, "set"); });
  CHECK(message.find("set: a binary task needs exactly two different labels, found 3: 1 (1 time), 2 (2 times)") == 0);
  CHECK(request_error_of([] {
          LabelMap::classes(std::vector<double>{4, 4}, "set");
        }).find("4 (2 times)") != std::string::npos);
  const LabelMap map = LabelMap::classes(three, "set");
  CHECK(request_error_of([&] {
          return map.apply(std::vector<double>{1, 9}, "test part");
        }).find("test part: label 9") == 0);
}

TEST_CASE("corrupted labels are as many as asked for, other classes, and the same for the same seed") {
  std::vector<double> labels(1000);
  for (std::size_t i = 0; i < labels.size(); ++i) labels[i] = static_cast<double>(i % 10);
  const std::vector<double> clean = labels;
  const auto changed = corrupt_labels(labels, 0.3, 10, 7);
  CHECK(std::ranges::count(changed, true) == 300);
  for (std::size_t i = 0; i < labels.size(); ++i) {
    CHECK((labels[i] != clean[i]) == changed[i]);
    CHECK((0 <= labels[i] && labels[i] < 10));
  }
  std::vector<double> again = clean;
  corrupt_labels(again, 0.3, 10, 7);
  CHECK(again == labels);
}

TEST_CASE("delimited text is read with and without header, with label words and skipped columns") {
  const Table plain = parse_delimited("1,2,0\n\n 3 ,-4e1, 1\r\n", {}, "x");
  CHECK(plain.values == std::vector<double>{1, 2, 3, -40});
  CHECK(plain.labels == std::vector<double>{0, 1});
  CHECK(plain.feature_names.empty());
  const Table named = parse_delimited("id;\"say \"\"hi\"\"\";kind;b\n7;1;dog;2\n8;3;cat;4\n",
                                      {.separator = ';', .label_name = "kind", .skipped_columns = {0}}, "x");
  CHECK(named.feature_names == std::vector<std::string>{"say \"hi\"", "b"});
  CHECK(named.label_words == std::vector<std::string>{"cat", "dog"});
  CHECK(named.labels == std::vector<double>{1, 0});
  CHECK(named.values == std::vector<double>{1, 2, 3, 4});
  CHECK(parse_delimited("a,b,y\n1,2,3\n", {}, "x").rows == 1);
  CHECK(to_samples(plain).features.to_dense() == plain.values);
}

TEST_CASE("malformed delimited text is refused with line and field") {
  const auto error_of = [](std::string_view text, const DelimitedOptions& options = {}) {
    return request_error_of([&] { parse_delimited(text, options, "x.csv"); });
  };
  CHECK(error_of("1,2,0\n1,x,1\n").find("x.csv:2: field 2: 'x' is not a finite number") == 0);
  CHECK(error_of("1,2,0\n1,,1\n").find("missing values are not supported") != std::string::npos);
  CHECK(error_of("1,nan,1\n").find("x.csv:1: field 2: 'nan'") == 0);
  CHECK(error_of("1,2,0\n1,1\n").find("x.csv:2: 2 fields; line 1 has 3") == 0);
  CHECK(error_of("1,2,\n").find("x.csv:1: field 3: the label is missing") == 0);
  CHECK(error_of("1,2,inf\n").find("label 'inf' is not finite") != std::string::npos);
  CHECK(error_of("1,\"2,0\n").find("no closing quote") != std::string::npos);
  CHECK(error_of("").find("holds no rows") != std::string::npos);
  CHECK(error_of("1,2\n", {.label_column = 5}).find("label column 5 of 2") != std::string::npos);
  CHECK(error_of("a,b\n1,2\n", {.label_name = "c"}).find("no column is called 'c'") != std::string::npos);
  CHECK(error_of("1\n2\n").find("no column is left for features") != std::string::npos);
}

TEST_CASE("scaled columns have unit deviation, and mean zero when standardised") {
  Table table{.rows = 4,
              .columns = 2,
              .values = {1, 5, 2, 5, 3, 5, 6, 5},
              .labels = {},
              .feature_names = {},
              .label_words = {}};
  Table centred = table;
  ColumnScaling(ColumnScaling::Kind::unit_deviation, table).apply(table);
  ColumnScaling(ColumnScaling::Kind::standard, centred).apply(centred);
  const double deviation = std::sqrt(3.5);  // of 1, 2, 3, 6 around 3
  CHECK(table.values[6] == doctest::Approx(6 / deviation));
  CHECK(table.values[1] == 5);
  CHECK(centred.values[6] == doctest::Approx(3 / deviation));
  CHECK(centred.values[1] == 0);
}

TEST_CASE("files of one's own are opened by their ending with the test part beside them") {
  const TemporaryFolder folder;
  const auto write_text = [&](const std::string& name, std::string_view text) {
    write_file(folder / name, std::as_bytes(std::span(text)));
  };
  write_text("mine.csv", "1,2,yes\n3,4,no\n");
  write_text("mine.test.csv", "5,6,no\n");
  write_text("other", "3 1:1\n4 2:1\n");
  write_text("other.t", "4 3:1\n");
  const TabularSet csv = open_tabular("mine.csv", folder.path(), LabelTask::binary);
  CHECK(csv.train.labels == std::vector<double>{1, -1});
  const TabularSet text = open_tabular((folder / "other").string(), "/nowhere", LabelTask::classes);
  CHECK(text.test.labels == std::vector<double>{1});
  CHECK(text.train.features.columns() == 3);
  write_npy(folder / "x.npy", Tensor::of(Shape{2, 2}, std::vector<float>{1, 2, 3, 4}));
  CHECK(request_error_of([&] { open_tabular("x.npy", folder.path(), LabelTask::binary); }).find("x.labels.npy") !=
        std::string::npos);
  write_npy(folder / "x.labels.npy", Tensor::of(Shape{2}, std::vector<std::int64_t>{5, 9}));
  CHECK(open_tabular("x.npy", folder.path(), LabelTask::binary).train.labels == std::vector<double>{-1, 1});
  write_npy(folder / "x.npy", Tensor::of(Shape{2, 2}, std::vector<float>{1, 2, NAN, 4}));
  CHECK(request_error_of([&] { open_tabular("x.npy", folder.path(), LabelTask::binary); }).find("element 2") !=
        std::string::npos);
  const auto message = request_error_of([&] { open_tabular("20new", folder.path(), LabelTask::binary); });
  CHECK(message.find("'20new' is neither known (20news, a9a") != std::string::npos);
  CHECK(request_error_of([&] {
          open_tabular("wdbc", folder.path(), LabelTask::binary);
        }).find("`deq data fetch wdbc`") != std::string::npos);
  CHECK(request_error_of([&] { open_tabular("a1a", folder.path(), LabelTask::binary); }).find("; say where it is") !=
        std::string::npos);
  CHECK(request_error_of([&] { open_tabular("wdbc", folder.path(), LabelTask::binary); }).find("wdbc.data") !=
        std::string::npos);
}

TEST_CASE("a test part has the labels of its training part, words as well as numbers") {
  const TemporaryFolder folder;
  const auto open = [&](const std::string& train, const std::string& test, const std::string& name = "x.test.csv") {
    write_file(folder / "x.csv", std::as_bytes(std::span(train)));
    write_file(folder / name, std::as_bytes(std::span(test)));
    return open_tabular("x.csv", folder.path(), LabelTask::classes);
  };
  const std::string words = "1,2,ant\n3,4,bee\n5,6,cat\n";
  CHECK(open(words, "1,2,cat\n3,4,ant\n").test.labels == std::vector<double>{2, 0});
  CHECK(open("1,2,7\n3,4,x\n", "3,4,7\n").test.labels == std::vector<double>{0});
  CHECK(open("1,2,7\n3,4,9\n", "3,4,9.0\n").test.labels == std::vector<double>{1});
  const auto error_of = [&](const std::string& train, const std::string& test) {
    return request_error_of([&] { open(train, test); });
  };
  const std::string place = (folder / "x.test.csv").string() + ":2: field 3: ";
  CHECK(error_of(words, "1,2,ant\n1,2,dog\n") ==
        place + "label 'dog' does not occur in the training part (ant, bee, cat)");
  CHECK(error_of("1,2,0\n3,4,1\n", "1,2,1\n1,2,no\n") ==
        place + "label 'no' does not occur in the training part (numbers)");
  CHECK(error_of("1,2,0\n3,4,1\n", "1,2,5\n").find("label 5 does not occur in the training part") != std::string::npos);
  // FILE.t comes before STEM.test.EXTENSION and has the format of FILE.
  CHECK(open(words, "9,9,bee\n", "x.csv.t").test.labels == std::vector<double>{1});
}

TEST_CASE("the known tabular sets have their published sizes and labels") {
  const char* const directory = std::getenv("DEQ_DATA_DIR");
  if (directory == nullptr) {
    std::cout << "SKIPPED: DEQ_DATA_DIR is not set\n";
    return;
  }
  const auto positive = [](const Samples& samples) { return std::ranges::count(samples.labels, 1.0); };
  const TabularSet wdbc = open_tabular("wdbc", directory, LabelTask::binary);
  CHECK(wdbc.train.features.rows() == 569);
  CHECK(wdbc.train.features.columns() == 30);
  CHECK(positive(wdbc.train) == 357);
  CHECK(positive(select_samples(wdbc.train, hold_out(569, 456, 3).kept)) == 67);
  const TabularSet a9a = open_tabular("a9a", directory, LabelTask::binary);
  CHECK(a9a.train.features.columns() == 123);
  CHECK(a9a.test.features.columns() == 123);
  CHECK(positive(a9a.test) == 3846);
  const TabularSet digits = open_tabular("digits", directory, LabelTask::classes);
  CHECK(digits.class_count == 10);
  CHECK(digits.train.features.rows() == 3823);
  CHECK(digits.test.features.rows() == 1797);
  CHECK(std::ranges::max(digits.train.features.value()) == 1);
  CHECK(request_error_of([&] {
          open_tabular("digits", directory, LabelTask::binary);
        }).find("found 10: 0 (376 times)") != std::string::npos);
  CHECK(positive(open_tabular("mushrooms", directory, LabelTask::binary).train) == 4208);
  for (const char* name : {"a1a", "breast-cancer", "diabetes", "heart"})
    CHECK(open_tabular(name, directory, LabelTask::binary).class_count == 2);
}

}  // namespace
}  // namespace deq
