#pragma once

#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "data/dataset.h"

namespace deq {

/// A set whose examples are read from files when they are asked for. A bad file (BadImage) is noted; with
/// BadImagePolicy::skip, training takes the next good example instead and evaluation gets one without labels: both are
/// functions of the files alone, whichever thread comes first.
class LazySet : public Dataset {
 public:
  LazySet(DatasetInfo info, BadImagePolicy policy);

  [[nodiscard]] const DatasetInfo& info() const final { return info_; }
  /// The example as evaluation sees it; without labels when its file is bad and bad files are skipped.
  [[nodiscard]] Sample sample(std::int64_t index) const final;
  /// Errors: as Dataset::load; RequestError when no file is good.
  void load(const ExampleKey& key, Example& out) const final;
  [[nodiscard]] std::int64_t bad_file_count() const final;
  [[nodiscard]] std::vector<std::string> bad_files() const final;

 protected:
  /// Makes example `index` in out.memory and out.labels; the rest of `out` is the caller's. What is random is drawn for
  /// `key`, whose own index may be that of a bad file. Errors: BadImage; RequestError for what no policy passes over.
  virtual void read(std::int64_t index, const ExampleKey& key, Example& out) const = 0;

 private:
  /// False when its file is bad.
  bool try_read(std::int64_t index, const ExampleKey& key, Example& out) const;

  DatasetInfo info_;
  BadImagePolicy policy_;
  mutable std::mutex mutex_;  ///< guards `bad_`
  mutable std::map<std::int64_t, std::string> bad_;
};

}  // namespace deq
