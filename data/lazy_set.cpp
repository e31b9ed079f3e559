#include "data/lazy_set.h"

#include <utility>

#include "core/error.h"
#include "data/image.h"

namespace deq {

LazySet::LazySet(DatasetInfo info, BadImagePolicy policy) : info_(std::move(info)), policy_(policy) {}

bool LazySet::try_read(std::int64_t index, const ExampleKey& key, Example& out) const {
  try {
    read(index, key, out);
    return true;
  } catch (const BadImage& error) {
    if (policy_ == BadImagePolicy::fail)
      throw RequestError(concat(error.what(), "; mend or remove it, or set data.bad_files = \"skip\""));
    const std::scoped_lock lock(mutex_);
    bad_.emplace(index, error.what());
    return false;
  }
}

void LazySet::load(const ExampleKey& key, Example& out) const {
  check(0 <= key.index && key.index < size(), info_.name, "no example ", key.index, " among ", size());
  out.move = {};
  out.is_bad = !try_read(key.index, key, out);
  if (out.is_bad && key.is_training) {
    std::int64_t tried = 1;
    while (tried < size() && !try_read((key.index + tried) % size(), key, out)) ++tried;
    require(tried < size(), info_.name, "none of ", size(), " files is good; the first: ", bad_files().front());
  } else if (out.is_bad) {
    out.memory.assign(static_cast<std::size_t>(info_.image_shape.elements()), 0);
    out.labels.assign(static_cast<std::size_t>(info_.label_shape.elements()), kNoLabel);
  }
  out.pixels = out.memory;
}

Sample LazySet::sample(std::int64_t index) const {
  const auto example = std::make_shared<Example>();
  load({.index = index}, *example);
  const bool has_class = info_.label_shape.rank() == 0;
  return {.pixels = example->pixels,
          .label = has_class ? example->labels[0] : kNoLabel,
          .pixel_labels = has_class ? std::span<const std::int32_t>{} : example->labels,
          .owner = example};
}

std::int64_t LazySet::bad_file_count() const {
  const std::scoped_lock lock(mutex_);
  return std::ssize(bad_);
}

std::vector<std::string> LazySet::bad_files() const {
  const std::scoped_lock lock(mutex_);
  std::vector<std::string> out;
  for (const auto& [index, message] : bad_) out.push_back(message);
  return out;
}

}  // namespace deq
