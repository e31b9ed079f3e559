#include "data/loader.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <set>

#include "core/error.h"
#include "data/random.h"
#include "data/shapes.h"

namespace deq {
namespace {

constexpr int kSide = 6;

/// Images whose every pixel tells their index.
std::shared_ptr<const ImageSet> numbered(std::int64_t count) {
  DatasetInfo info{.name = "numbered",
                   .image_shape = {kSide, kSide, 1},
                   .class_names = {"even", "odd"},
                   .normalisation = {.mean = {0.0F}, .std = {1.0F / 255}}};
  auto set = std::make_shared<ImageSet>(std::move(info));
  for (std::int64_t i = 0; i < count; ++i) {
    for (auto& pixel : set->append(static_cast<std::int32_t>(i % 2))) pixel = static_cast<std::uint8_t>(i + 1);
  }
  return set;
}

/// A set that cannot read one of its samples.
class BrokenSet final : public Dataset {
 public:
  [[nodiscard]] const DatasetInfo& info() const override { return whole_->info(); }
  [[nodiscard]] std::int64_t size() const override { return whole_->size(); }
  [[nodiscard]] Sample sample(std::int64_t index) const override {
    check(index != 9, "broken set", "sample 9 is damaged");
    return whole_->sample(index);
  }

 private:
  std::shared_ptr<const ImageSet> whole_ = numbered(16);
};

/// What a batch holds, by value.
std::vector<float> contents(const Batch& batch) {
  const auto images = batch.images.data<float>();
  std::vector<float> out(images.begin(), images.end());
  for (const std::int32_t label : batch.labels.data<std::int32_t>()) out.push_back(static_cast<float>(label));
  out.push_back(static_cast<float>(batch.valid));
  out.push_back(static_cast<float>(batch.epoch));
  out.push_back(static_cast<float>(batch.step));
  return out;
}

TEST_CASE("a keyed shuffle is a permutation that differs between epochs and seeds") {
  for (const std::int64_t size : {1, 2, 3, 7, 64, 1000}) {
    std::set<std::int64_t> seen;
    for (std::int64_t i = 0; i < size; ++i) seen.insert(shuffled(5, 2, i, size));
    CHECK(static_cast<std::int64_t>(seen.size()) == size);
    CHECK(*seen.rbegin() == size - 1);
  }
  int same_epoch = 0;
  int same_seed = 0;
  for (std::int64_t i = 0; i < 1000; ++i) {
    same_epoch += shuffled(5, 2, i, 1000) == shuffled(5, 3, i, 1000) ? 1 : 0;
    same_seed += shuffled(5, 2, i, 1000) == shuffled(6, 2, i, 1000) ? 1 : 0;
  }
  // Two independent permutations agree in 1 place on average; 10 has a probability below 1e-6.
  CHECK(same_epoch < 10);
  CHECK(same_seed < 10);
}

TEST_CASE("batches do not depend on the number of threads or of batches held") {
  const auto set = numbered(50);
  LoaderOptions options{.batch_size = 8, .augments = true, .seed = 3, .threads = 1, .prefetch = 2};
  Loader one(set, options);
  options.threads = 2;
  options.prefetch = 5;
  Loader two(set, options);
  options.threads = 3;
  Loader three(set, options);
  for (int step = 0; step < 40; ++step) {
    const auto expected = contents(one.next());
    CHECK(contents(two.next()) == expected);
    CHECK(contents(three.next()) == expected);
  }
}

TEST_CASE("pixels kept for a device become the same images, bit for bit") {
  const auto set = draw_shapes(Split::train, {.train_images = 64, .test_images = 10});
  LoaderOptions options{.batch_size = 8, .augments = true, .seed = 6, .threads = 2};
  Loader plain(set, options);
  options.keeps_pixels = true;
  Loader raw(set, options);
  for (int step = 0; step < 12; ++step) {
    const Batch& expected = plain.next();
    const Batch& batch = raw.next();
    CHECK(batch.raw.step == step);
    std::vector<float> images(expected.images.data<float>().size());
    const NormalisePixel kernel =
        normalise_pixel(batch.raw, batch.raw.pixels.data(), batch.raw.moves.data(), images.data());
    for (std::size_t i = 0; i < images.size(); ++i) kernel(static_cast<std::int32_t>(i));
    CHECK(std::memcmp(images.data(), expected.images.raw(), expected.images.bytes()) == 0);
    CHECK(std::ranges::equal(batch.labels.data<std::int32_t>(), expected.labels.data<std::int32_t>()));
  }
}

TEST_CASE("a glimpse of the next batch is the next batch, and takes nothing away") {
  const auto set = numbered(50);
  const LoaderOptions options{.batch_size = 8, .augments = true, .seed = 4, .threads = 1};
  Loader plain(set, options), watched(set, options);
  for (int step = 0; step < 30; ++step) {
    const Batch* glimpse = nullptr;
    while (glimpse == nullptr) glimpse = watched.peek();  // it comes, for there is room for it
    const Batch& batch = watched.next();
    CHECK(glimpse == &batch);
    CHECK(contents(batch) == contents(plain.next()));
  }
}

TEST_CASE("pixels of sizes that do not fit are refused") {
  const std::vector<std::uint8_t> pixels(2 * 3 * 3 * 3);
  const std::vector<PixelMove> moves(2);
  const std::vector<float> three(3, 1.0F);
  PixelBatch batch{.shape = {2, 3, 3, 3}, .pixels = pixels, .moves = moves, .mean = three, .std = three};
  CHECK_NOTHROW((void)normalise_pixel(batch, nullptr, nullptr, nullptr));
  batch.shape = {2, 3, 4, 3};
  CHECK_THROWS_AS((void)normalise_pixel(batch, nullptr, nullptr, nullptr), Error);
  batch.shape = {2, 3, 3, 5};
  CHECK_THROWS_AS((void)normalise_pixel(batch, nullptr, nullptr, nullptr), Error);
}

TEST_CASE("a loader started at a step gives the batches of one that ran to it") {
  const auto set = numbered(50);
  for (const std::int64_t start : {1, 5, 6, 7, 23}) {
    const LoaderOptions options{.batch_size = 8, .augments = true, .seed = 4, .threads = 2};
    Loader whole(set, options);
    Loader resumed(set, options, start);
    for (std::int64_t step = 0; step < start; ++step) whole.next();
    for (int step = 0; step < 9; ++step) CHECK(contents(resumed.next()) == contents(whole.next()));
  }
}

TEST_CASE("a training epoch shows each image at most once and drops the partial batch") {
  Loader loader(numbered(50), {.batch_size = 8});
  CHECK(loader.steps_per_epoch() == 6);
  for (int epoch = 0; epoch < 3; ++epoch) {
    std::set<float> seen;
    for (int step = 0; step < 6; ++step) {
      const Batch& batch = loader.next();
      CHECK(batch.epoch == epoch);
      CHECK(batch.valid == 8);
      for (std::size_t i = 0; i < 8; ++i) seen.insert(batch.images.data<float>()[i * kSide * kSide]);
    }
    CHECK(seen.size() == 48);
  }
}

TEST_CASE("evaluation runs in order and pads the last batch with label -1") {
  Loader loader(numbered(10), {.batch_size = 4, .is_training = false});
  CHECK(loader.steps_per_epoch() == 3);
  for (int pass = 0; pass < 2; ++pass) {
    for (int step = 0; step < 3; ++step) {
      const Batch& batch = loader.next();
      CHECK(batch.valid == (step == 2 ? 2 : 4));
      for (int i = 0; i < 4; ++i) {
        const int index = 4 * step + i;
        CHECK(batch.labels.data<std::int32_t>()[static_cast<std::size_t>(i)] == (index < 10 ? index % 2 : -1));
        CHECK(batch.images.data<float>()[static_cast<std::size_t>(i) * kSide * kSide] ==
              doctest::Approx(index < 10 ? index + 1 : 0));
      }
    }
  }
}

TEST_CASE("a batch stays as it is until the next one is asked for, and its memory is used again") {
  const LoaderOptions options{.batch_size = 4, .threads = 3, .prefetch = 2};
  Loader loader(numbered(16), options);
  std::set<const std::byte*> memory;
  for (int step = 0; step < 50; ++step) {
    const Batch& batch = loader.next();
    const auto before = contents(batch);
    std::this_thread::yield();
    CHECK(contents(batch) == before);
    memory.insert(batch.images.raw());
  }
  CHECK(memory.size() == 2);
}

TEST_CASE("an exception in a loader thread surfaces at its batch") {
  Loader loader(std::make_shared<BrokenSet>(), {.batch_size = 4, .is_training = false, .threads = 2});
  CHECK_NOTHROW(loader.next());
  CHECK_NOTHROW(loader.next());
  CHECK_THROWS_WITH_AS(loader.next(), "broken set: sample 9 is damaged", Error);
}

TEST_CASE("a loader that is never asked shuts down") {
  for (int i = 0; i < 20; ++i) Loader loader(numbered(16), {.batch_size = 4, .threads = 3});
}

TEST_CASE("an empty set and one smaller than a training batch are refused") {
  CHECK_THROWS_AS(Loader(numbered(0), {.batch_size = 4, .is_training = false}), RequestError);
  CHECK_THROWS_AS(Loader(numbered(3), {.batch_size = 4}), RequestError);
}

}  // namespace
}  // namespace deq
