#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace deq {

/// Which items of a sequence must end before others may start, closed over chains.
class Precedence {
 public:
  explicit Precedence(std::size_t count) : words_((count + 63) / 64), before_(count * words_, 0) {}

  /// True when `first` ends before `then` starts.
  [[nodiscard]] bool precedes(std::size_t first, std::size_t then) const {
    return (before_[then * words_ + first / 64] >> (first % 64) & 1U) != 0;
  }
  /// `first` < `then`. All that comes before `first` must have been added.
  void add(std::size_t first, std::size_t then) {
    std::uint64_t* row = before_.data() + then * words_;
    const std::uint64_t* from = before_.data() + first * words_;
    for (std::size_t word = 0; word <= first / 64; ++word) row[word] |= from[word];
    row[first / 64] |= std::uint64_t{1} << (first % 64);
  }

 private:
  std::size_t words_;
  std::vector<std::uint64_t> before_;  ///< [then][first], a bit each
};

}  // namespace deq
