#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/samples.h"

namespace deq {

/// What the labels are to be.
enum class LabelTask : std::uint8_t {
  binary,   ///< -1 and +1
  classes,  ///< 0 ... K - 1
};

/// A set of examples for linear models, prepared as is customary for it.
struct TabularSet {
  std::string name;
  Samples train;  ///< all of it when the set has no test part
  Samples test;   ///< no rows when the set has no test part; as many features as `train`
  int class_count = 2;
};

/// A set that `open_tabular` knows by name, and how it is prepared.
struct KnownTabularSet {
  std::string_view name;
  std::string_view files;  ///< what is looked for
  std::string_view preparation;
};
std::span<const KnownTabularSet> known_tabular_sets();

/// Opens a known set, whose files lie in `directory` or in the set's own folder of it, or the file that `name` is (or
/// is below `directory`): .csv, .npy (labels in STEM.labels.npy), or LIBSVM text of any other name, plain or packed;
/// the test part, where there is one, is FILE.t or STEM.test.EXTENSION, in the same format; its labels are those of the
/// train part.
///
/// Binary labels: two different ones become -1 and +1 (wdbc: benign +1, malignant -1); 20news is cut at the mean of its
/// labels. Errors: RequestError naming what is missing or wrong and where.
TabularSet open_tabular(const std::string& name, const std::filesystem::path& directory, LabelTask task);

}  // namespace deq
