#pragma once

#include <bit>
#include <initializer_list>
#include <utility>

#include "core/cuda/sample_vectors.h"
#include "core/cuda/scalar_stage.h"
#include "core/cuda/state_layout.h"

namespace deq::cuda {

/// Room that the scalars in `values` take in a ScalarStage.
template <class X, class Span>
[[nodiscard]] std::size_t room_of(const Span& values) {
  return ScalarStage::room_for<X>(values.size());
}

/// Kernels of solver operations in order, with the scalars that they read and write. Runner is where they run:
///   AlignedBytes allocate(std::size_t bytes)        memory that kernels may touch
///   ScalarStage::Memory reserve(std::size_t bytes)  memory for scalars; nothing is in flight when it is called
///   void upload(const ScalarStage::Memory&, ScalarStage::Upload)  enqueues host -> copy
///   for_each, for_each_block                        a launcher's (core/cuda/host_launcher.h), enqueueing
///   void wait()                                     everything enqueued has run
template <class Runner>
class StateQueue {
 public:
  template <class... Arguments>
  explicit StateQueue(Arguments&&... arguments) : runner_(std::forward<Arguments>(arguments)...) {
    make_room(kFirstBytes);
  }

  /// Room for an operation's scalars: waits when the memory is full, and grows when it is smaller than one operation.
  void begin(std::initializer_list<std::size_t> rooms) {
    std::size_t bytes = 0;
    for (const std::size_t part : rooms) bytes += part;
    if (stage_.has_room(bytes, kMostResultsOfOne)) return;
    wait();
    if (bytes > stage_.capacity()) make_room(std::bit_ceil(bytes));
  }
  /// ScalarStage::put and ::expect.
  template <class X>
  const X* put(std::span<const X> values) {
    return stage_.put(values);
  }
  template <class X>
  X* expect(std::span<X> target, SampleMask mask) {
    return stage_.expect(target, mask);
  }
  template <class Functor>
  void for_each(std::int64_t n, const Functor& functor) {
    runner_.upload(memory_, stage_.upload());
    runner_.for_each(n, functor);
  }
  /// `blocks` blocks of as many threads as a sample of `spec` gets.
  template <class Program>
  void for_each_block(const StateSpec& spec, int blocks, const Program& program) {
    runner_.upload(memory_, stage_.upload());
    runner_.for_each_block(blocks, threads_for_sample(spec.sample_elems()), 0, program);
  }
  /// Waits if results are under way, and hands them out.
  void settle() {
    if (stage_.has_results()) wait();
  }
  [[nodiscard]] std::int64_t waits() const { return waits_; }
  [[nodiscard]] Runner& runner() { return runner_; }

 private:
  static constexpr std::size_t kFirstBytes = std::size_t{1} << 20;
  static constexpr std::size_t kMostResultsOfOne = 4;

  void make_room(std::size_t bytes) {
    memory_ = runner_.reserve(bytes);
    stage_.use(memory_);
  }
  void wait() {
    runner_.wait();
    stage_.deliver();
    ++waits_;
  }

  Runner runner_;
  ScalarStage stage_;
  ScalarStage::Memory memory_;
  std::int64_t waits_ = 0;
};

}  // namespace deq::cuda
