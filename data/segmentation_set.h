#pragma once

#include <functional>

#include "data/labelled_image.h"
#include "data/lazy_set.h"

namespace deq {

/// A set of images with one class a pixel, made or read one by one.
class SegmentationSet final : public LazySet {
 public:
  /// Example `index` in its own size; called from several threads. Errors: as LazySet::read.
  using Reader = std::function<LabelledImage(std::int64_t index)>;

  /// @param info  image_shape is the size of what enters a batch
  SegmentationSet(DatasetInfo info, std::int64_t size, Reader reader, const DatasetOptions& options);

  [[nodiscard]] std::int64_t size() const override { return size_; }

 protected:
  void read(std::int64_t index, const ExampleKey& key, Example& out) const override;

 private:
  std::int64_t size_;
  Reader reader_;
  std::array<double, 2> scale_;
};

/// How the labels of files become classes.
struct LabelRule {
  int classes = 0;
  std::int32_t ignore_label = 255;
  std::vector<int> map = {};  ///< class of each label, kNoLabel or ignore_label for none; empty: labels are classes
};

/// Replaces labels by classes or kNoLabel.
/// Errors: RequestError with `name` for a label that is neither a class nor to be ignored: label, pixel, what to do.
void apply_label_rule(PixelLabels& map, const LabelRule& rule, const std::string& name);

}  // namespace deq
