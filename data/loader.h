#pragma once

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "core/tensor.h"
#include "data/dataset.h"

namespace deq {

/// One mini-batch. Rows from `valid` on (only in the last batch of an evaluation) are zeros with label -1.
struct Batch {
  Tensor images;  ///< f32 [batch, height, width, channels], normalised; empty with LoaderOptions::keeps_pixels
  Tensor labels;  ///< i32 [batch], or [batch, height, width] when pixels have classes; -1: does not count
  int valid = 0;
  std::int64_t epoch = 0;
  std::int64_t step = 0;  ///< counted from the first step of epoch 0
  /// Per row: its file was bad, so that it holds another image (training) or nothing (evaluation).
  std::vector<std::uint8_t> is_bad = {};
  /// With LoaderOptions::keeps_pixels, the images before they are moved and normalised; lies in `pixels` and `moves`.
  PixelBatch raw = {};
  std::vector<std::uint8_t> pixels = {};
  std::vector<PixelMove> moves = {};

  /// How many of the first `rows` are bad.
  [[nodiscard]] int count_bad(int rows) const;
};

struct LoaderOptions {
  int batch_size = 64;
  bool is_training = true;  ///< shuffle every epoch and drop its last partial batch; else in order, padded
  bool augments = false;    ///< random crops and flips, see Dataset::load
  std::uint64_t seed = 0;   ///< of shuffling and augmentation
  int threads = 1;
  bool keeps_pixels = false;  ///< leave moving and normalising to a device (PixelFeed); full batches alone
  int prefetch = 3;           ///< batches held at most, the one in use included; at least 2
};

/// Endless stream of batches made ahead on threads of its own. Batch `step` is a function of the set, the options'
/// seed and `step` alone: neither the number of threads nor the step it starts at changes it. In steady state nothing
/// is allocated.
class Loader {
 public:
  /// Errors: RequestError when the set is empty or, in training, smaller than one batch.
  Loader(std::shared_ptr<const Dataset> dataset, LoaderOptions options, std::int64_t start_step = 0);
  ~Loader();
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;

  /// The next batch; it stays valid until the following call. Errors: whatever making the batch threw.
  const Batch& next();

  /// The batch that `next` will give, if it is there already, else null; valid as long as if it had been given.
  [[nodiscard]] const Batch* peek();

  [[nodiscard]] std::int64_t steps_per_epoch() const { return steps_per_epoch_; }
  [[nodiscard]] const Dataset& dataset() const { return *dataset_; }

 private:
  /// A recycled batch. `ready_step` is the step it holds, -1 while it is being made or waits to be.
  struct Slot {
    Batch batch;
    std::int64_t ready_step = -1;
    std::exception_ptr error;
  };

  void work();
  void fill(Batch& batch, Example& example, std::int64_t step) const;
  void take_pixels(Batch& batch, std::size_t row, const Example& example) const;
  void stop();
  Slot& slot_of(std::int64_t step) { return slots_[static_cast<std::size_t>(step) % slots_.size()]; }

  std::shared_ptr<const Dataset> dataset_;
  LoaderOptions options_;
  std::int64_t steps_per_epoch_ = 0;
  std::vector<Slot> slots_;

  std::mutex mutex_;  ///< guards everything below and the `ready_step` and `error` of the slots
  std::condition_variable slot_freed_;
  std::condition_variable batch_ready_;
  std::int64_t next_to_make_ = 0;
  std::int64_t next_to_give_ = 0;
  bool is_stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace deq
