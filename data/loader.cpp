#include "data/loader.h"

#include <algorithm>
#include <utility>

#include "core/error.h"
#include "data/random.h"
#include "data/transform.h"

namespace deq {
namespace {

std::int64_t count_steps(const Dataset& dataset, const LoaderOptions& options) {
  const std::string& name = dataset.info().name;
  check(options.batch_size >= 1 && options.threads >= 1 && options.prefetch >= 2, "loader",
        "needs batch_size >= 1, threads >= 1 and prefetch >= 2");
  check(options.is_training || !options.keeps_pixels, "loader", "keeps pixels in training only: rows may be missing");
  require(dataset.size() > 0, name, "the set holds no images");
  if (!options.is_training) return (dataset.size() + options.batch_size - 1) / options.batch_size;
  require(dataset.size() >= options.batch_size, name, "training needs at least one batch of ", options.batch_size,
          " images, the set holds ", dataset.size());
  return dataset.size() / options.batch_size;
}

}  // namespace

int Batch::count_bad(int rows) const {
  const std::size_t count = std::min(static_cast<std::size_t>(rows), is_bad.size());
  return static_cast<int>(std::count_if(is_bad.begin(), is_bad.begin() + static_cast<std::ptrdiff_t>(count),
                                        [](std::uint8_t flag) { return flag != 0; }));
}

Loader::Loader(std::shared_ptr<const Dataset> dataset, LoaderOptions options, std::int64_t start_step)
    : dataset_(std::move(dataset)), options_(options), next_to_make_(start_step), next_to_give_(start_step) {
  check(start_step >= 0, "loader", "start step ", start_step, " is negative");
  steps_per_epoch_ = count_steps(*dataset_, options_);
  const Shape& image = dataset_->info().image_shape;
  std::vector<std::int64_t> label_extents{options_.batch_size};
  for (const std::int64_t extent : dataset_->info().label_shape.extents()) label_extents.push_back(extent);
  const Shape labels(label_extents);
  slots_.resize(static_cast<std::size_t>(options_.prefetch));
  for (Slot& slot : slots_) {
    const Shape images{options_.batch_size, image[0], image[1], image[2]};
    if (options_.keeps_pixels) {
      slot.batch.pixels.resize(static_cast<std::size_t>(images.elements()));
      slot.batch.moves.resize(static_cast<std::size_t>(options_.batch_size));
      const Normalisation& normalisation = dataset_->info().normalisation;
      slot.batch.raw = {.step = -1,
                        .shape = images,
                        .pixels = slot.batch.pixels,
                        .moves = slot.batch.moves,
                        .mean = normalisation.mean,
                        .std = normalisation.std};
    } else {
      slot.batch.images = Tensor(DType::f32, images);
    }
    slot.batch.labels = Tensor(DType::i32, labels);
    slot.batch.is_bad.resize(static_cast<std::size_t>(options_.batch_size));
  }
  try {
    for (int i = 0; i < options_.threads; ++i) threads_.emplace_back([this] { work(); });
  } catch (...) {
    stop();
    throw;
  }
}

Loader::~Loader() { stop(); }

void Loader::stop() {
  {
    const std::scoped_lock lock(mutex_);
    is_stopping_ = true;
  }
  slot_freed_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

const Batch& Loader::next() {
  std::unique_lock lock(mutex_);
  const std::int64_t step = next_to_give_;
  Slot& slot = slot_of(step);
  batch_ready_.wait(lock, [&] { return slot.ready_step == step; });
  if (slot.error) std::rethrow_exception(slot.error);
  // The batch given before this one is free from here on; its slot takes the next step not yet begun.
  ++next_to_give_;
  slot_freed_.notify_one();
  return slot.batch;
}

const Batch* Loader::peek() {
  const std::scoped_lock lock(mutex_);
  const Slot& slot = slot_of(next_to_give_);
  return slot.ready_step == next_to_give_ && !slot.error ? &slot.batch : nullptr;
}

void Loader::work() {
  Example example;
  std::unique_lock lock(mutex_);
  while (true) {
    // The batch before `next_to_give_` is with the caller; step s and step s + prefetch share a slot.
    const auto has_room = [&] {
      return next_to_make_ < std::max<std::int64_t>(next_to_give_ - 1, 0) + options_.prefetch;
    };
    slot_freed_.wait(lock, [&] { return is_stopping_ || has_room(); });
    if (is_stopping_) return;
    const std::int64_t step = next_to_make_++;
    Slot& slot = slot_of(step);
    slot.ready_step = -1;
    lock.unlock();
    std::exception_ptr error;
    try {
      fill(slot.batch, example, step);
    } catch (...) {
      error = std::current_exception();
    }
    lock.lock();
    slot.error = error;
    slot.ready_step = step;
    batch_ready_.notify_one();
  }
}

void Loader::fill(Batch& batch, Example& example, std::int64_t step) const {
  const DatasetInfo& info = dataset_->info();
  batch.step = step;
  batch.epoch = step / steps_per_epoch_;
  const std::int64_t first = step % steps_per_epoch_ * options_.batch_size;
  batch.valid = static_cast<int>(std::min<std::int64_t>(options_.batch_size, dataset_->size() - first));
  const auto labels = batch.labels.data<std::int32_t>();
  const auto images = options_.keeps_pixels ? std::span<float>{} : batch.images.data<float>();
  const auto pixels = static_cast<std::size_t>(info.image_shape.elements());
  const auto labels_per_row = static_cast<std::size_t>(info.label_shape.elements());
  for (int row = 0; row < batch.valid; ++row) {
    const std::int64_t position = first + row;
    const std::int64_t index =
        options_.is_training ? shuffled(options_.seed, batch.epoch, position, dataset_->size()) : position;
    dataset_->load({.index = index,
                    .is_training = options_.is_training,
                    .is_augmented = options_.augments,
                    .seed = options_.seed,
                    .epoch = batch.epoch},
                   example);
    check(example.labels.size() == labels_per_row, info.name, "example ", index, " has ", example.labels.size(),
          " labels, expected ", labels_per_row);
    const auto at = static_cast<std::size_t>(row);
    std::ranges::copy(example.labels, labels.begin() + static_cast<std::ptrdiff_t>(at * labels_per_row));
    if (options_.keeps_pixels)
      take_pixels(batch, at, example);
    else
      normalise_image(example.pixels, info.image_shape, info.normalisation, example.move,
                      images.subspan(at * pixels, pixels));
    batch.is_bad[at] = example.is_bad ? 1 : 0;
  }
  const auto filled = static_cast<std::size_t>(batch.valid);
  std::ranges::fill(labels.subspan(filled * labels_per_row), kNoLabel);
  if (!options_.keeps_pixels) std::ranges::fill(images.subspan(filled * pixels), 0.0F);
}

void Loader::take_pixels(Batch& batch, std::size_t row, const Example& example) const {
  const std::size_t pixels = batch.pixels.size() / batch.moves.size();
  check(example.pixels.size() == pixels, dataset_->info().name, "an example has ", example.pixels.size(),
        " pixels, expected ", pixels);
  std::ranges::copy(example.pixels, batch.pixels.begin() + static_cast<std::ptrdiff_t>(row * pixels));
  batch.moves[row] = example.move;
  batch.raw.step = batch.step;
}

}  // namespace deq
