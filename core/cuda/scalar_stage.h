#pragma once

#include <algorithm>
#include <cstring>
#include <vector>

#include "core/error.h"
#include "core/state_ops.h"

namespace deq::cuda {

/// The way of per-sample scalars to and from kernels that run later than they are asked for.
///
/// Inputs are copied to `host` at once and reach the kernel's side with the next upload; results are written by kernels
/// into `host` and handed to their owners by `deliver`, once the kernels are known to have run. Between two deliveries
/// nothing in the memory is used twice, so the caller's spans may change or go away as soon as an operation returns
/// (spans for results: after the delivery).
class ScalarStage {
 public:
  /// The same `bytes` three times: as the host sees them, a copy that kernels read, and `host` as kernels see it.
  struct Memory {
    std::byte* host = nullptr;
    std::byte* copy = nullptr;
    std::byte* host_for_kernels = nullptr;
    std::size_t bytes = 0;
  };
  /// Part of `host` that must be in `copy` before the next kernel runs.
  struct Upload {
    std::size_t offset = 0;
    std::size_t bytes = 0;
  };

  ScalarStage() { results_.reserve(kMostResults); }

  /// Room that `elements` of type X take.
  template <class X>
  [[nodiscard]] static std::size_t room_for(std::size_t elements) {
    return (elements * sizeof(X) + kAlignment - 1) / kAlignment * kAlignment;
  }
  /// Room an operation may use at most must be asked for before its first `put`: false means deliver first.
  [[nodiscard]] bool has_room(std::size_t bytes, std::size_t results) const {
    return used_ + bytes <= memory_.bytes && results_.size() + results <= kMostResults;
  }
  [[nodiscard]] std::size_t capacity() const { return memory_.bytes; }
  /// Nothing may be in flight.
  void use(Memory memory) {
    check(results_.empty(), "cuda", "scalars are still in flight");
    memory_ = memory;
    used_ = uploaded_ = 0;
  }

  /// Copies `values` and returns where kernels find them; null for none.
  template <class X>
  const X* put(std::span<const X> values) {
    if (values.empty()) return nullptr;
    const std::size_t at = take<X>(values.size());
    std::memcpy(memory_.host + at, values.data(), values.size_bytes());
    return reinterpret_cast<const X*>(memory_.copy + at);
  }
  /// Where kernels put the results that `deliver` copies to `target`, [rows, batch], for the samples of `mask`.
  template <class X>
  X* expect(std::span<X> target, SampleMask mask) {
    const std::size_t at = take<X>(target.size());
    Result result{.target = reinterpret_cast<std::byte*>(target.data()), .size = sizeof(X), .at = at};
    result.count = target.size();
    if (!mask.empty()) {
      result.batch = mask.size();
      result.mask_at = take<std::uint8_t>(mask.size());
      std::memcpy(memory_.host + result.mask_at, mask.data(), mask.size());
    }
    results_.push_back(result);
    return reinterpret_cast<X*>(memory_.host_for_kernels + at);
  }
  /// What was put since the last call.
  Upload upload() {
    const Upload out{uploaded_, used_ - uploaded_};
    uploaded_ = used_;
    return out;
  }
  [[nodiscard]] bool has_results() const { return !results_.empty(); }
  /// Everything in flight has run: hands out results and starts anew.
  void deliver() {
    for (const Result& result : results_)
      for (std::size_t i = 0; i < result.count; ++i)
        if (result.batch == 0 || memory_.host[result.mask_at + i % result.batch] != std::byte{0})
          std::memcpy(result.target + i * result.size, memory_.host + result.at + i * result.size, result.size);
    results_.clear();
    used_ = uploaded_ = 0;
  }

 private:
  struct Result {
    std::byte* target = nullptr;
    std::size_t size = 0;   // of one scalar
    std::size_t at = 0;     // in the memory
    std::size_t count = 0;  // of scalars
    std::size_t batch = 0;  // 0: no mask
    std::size_t mask_at = 0;
  };
  static constexpr std::size_t kAlignment = 16;
  static constexpr std::size_t kMostResults = 64;

  template <class X>
  std::size_t take(std::size_t elements) {
    const std::size_t at = used_;
    used_ += room_for<X>(elements);
    return at;
  }

  Memory memory_;
  std::size_t used_ = 0;
  std::size_t uploaded_ = 0;
  std::vector<Result> results_;
};

}  // namespace deq::cuda
