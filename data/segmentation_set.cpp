#include "data/segmentation_set.h"

#include <utility>

namespace deq {
namespace {

DatasetInfo with_pixel_labels(DatasetInfo info) {
  info.label_shape = {info.image_shape[0], info.image_shape[1]};
  return info;
}

}  // namespace

SegmentationSet::SegmentationSet(DatasetInfo info, std::int64_t size, Reader reader, const DatasetOptions& options)
    : LazySet(with_pixel_labels(std::move(info)), options.bad_images),
      size_(size),
      reader_(std::move(reader)),
      scale_(options.scale) {}

void SegmentationSet::read(std::int64_t index, const ExampleKey& key, Example& out) const {
  const LabelledImage from = reader_(index);
  const int height = static_cast<int>(info().image_shape[0]), width = static_cast<int>(info().image_shape[1]);
  if (!key.is_augmented) return fit_example(from, height, width, out);
  KeyedRandom random(key.seed, static_cast<std::uint64_t>(key.epoch), static_cast<std::uint64_t>(key.index));
  augment_example(from, height, width, scale_, random, out);
}

void apply_label_rule(PixelLabels& map, const LabelRule& rule, const std::string& name) {
  const auto is_none = [&](std::int32_t label) { return label == kNoLabel || label == rule.ignore_label; };
  for (std::size_t i = 0; i < map.labels.size(); ++i) {
    const std::int32_t label = map.labels[i];
    const bool is_mapped = label >= 0 && label < std::ssize(rule.map);
    const std::int32_t mapped = is_mapped ? rule.map[static_cast<std::size_t>(label)] : label;
    const bool is_class = mapped >= 0 && mapped < rule.classes && (rule.map.empty() || is_mapped);
    const std::size_t width = static_cast<std::size_t>(map.width);
    require(is_none(mapped) || is_class, name, "label ", label, " at row ", i / width, ", column ", i % width,
            " is not one of ", rule.classes, " classes", rule.map.empty() ? "" : " and not in data.label_map",
            "; raise model.classes, give data.label_map, or set data.ignore_label to it");
    map.labels[i] = is_none(mapped) ? kNoLabel : mapped;
  }
}

}  // namespace deq
