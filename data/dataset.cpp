#include "data/dataset.h"

#include <utility>

#include "core/error.h"
#include "data/transform.h"

namespace deq {

Split split_of(std::string_view name) {
  for (const Split split : {Split::train, Split::test}) {
    if (name == name_of(split)) return split;
  }
  throw RequestError(concat("split: \"", name, "\" is neither train nor test"));
}

Normalisation imagenet_normalisation() { return {.mean = {0.485F, 0.456F, 0.406F}, .std = {0.229F, 0.224F, 0.225F}}; }

void Dataset::load(const ExampleKey& key, Example& out) const {
  const Sample from = sample(key.index);
  out.pixels = from.pixels;
  out.labels.assign(1, from.label);
  out.move = key.is_augmented ? draw_augmentation(key.seed, key.epoch, key.index) : Augmentation{};
  out.is_bad = false;
}

ImageSet::ImageSet(DatasetInfo info) : info_(std::move(info)) {
  check(info_.image_shape.rank() == 3, "image set", "shape ", info_.image_shape, " is not [height, width, channels]");
  const auto channels = static_cast<std::size_t>(info_.image_shape[2]);
  check(info_.normalisation.mean.size() == channels && info_.normalisation.std.size() == channels, "image set",
        "normalisation needs ", channels, " channels");
  pixels_per_image_ = static_cast<std::size_t>(info_.image_shape.elements());
}

Sample ImageSet::sample(std::int64_t index) const {
  check(0 <= index && index < size(), info_.name, "no sample ", index, " among ", size());
  const auto at = static_cast<std::size_t>(index);
  return {std::span(pixels_).subspan(at * pixels_per_image_, pixels_per_image_), labels_[at]};
}

void ImageSet::reserve(std::int64_t count) {
  labels_.reserve(static_cast<std::size_t>(count));
  pixels_.reserve(static_cast<std::size_t>(count) * pixels_per_image_);
}

std::span<std::uint8_t> ImageSet::append(std::int32_t label) {
  check(0 <= label && static_cast<std::size_t>(label) < info_.class_names.size(), info_.name, "label ", label,
        " is not one of ", info_.class_names.size(), " classes");
  labels_.push_back(label);
  pixels_.resize(pixels_.size() + pixels_per_image_);
  return std::span(pixels_).last(pixels_per_image_);
}

}  // namespace deq
