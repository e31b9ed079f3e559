#include "core/ladder.h"

#include <algorithm>
#include <numeric>

namespace deq {

void Ladder::prepare() {
  const auto batch = static_cast<std::size_t>(spec_.batch);
  running_.reserve(batch);
  selected_.reserve(batch);
  slots_.resize(batch);
  std::iota(slots_.begin(), slots_.end(), 0);
  forget();
}

int Ladder::replay(StateView in, StateView out, SampleMask running) {
  running_.clear();
  for (int b = 0; b < spec_.batch; ++b)
    if (running[static_cast<std::size_t>(b)] != 0) running_.push_back(b);
  std::span<const int> left = running_;
  for (const Rung& rung : rungs_) {
    const auto rows = static_cast<std::size_t>(rung.rows);
    for (; left.size() >= rows; left = left.subspan(rows)) replay_piece(rung, left.first(rows), in, out);
  }
  return static_cast<int>(running_.size());
}

void Ladder::replay_piece(const Rung& rung, std::span<const int> samples, StateView in, StateView out) {
  const std::span<const int> slots = std::span<const int>(slots_).first(samples.size());
  if (active_ != &rung || !std::equal(samples.begin(), samples.end(), selected_.begin(), selected_.end())) {
    active_ = &rung;
    selected_.assign(samples.begin(), samples.end());
    for (const Capture& capture : rung.captures)
      ops_->copy_rows(capture.from, samples, capture.to, slots, capture.row_bytes);
  }
  const auto each_block = [&](const auto& visit) {
    std::size_t whole = 0, small = 0;
    for (const std::int64_t elems : spec_.block_elems) {
      const std::size_t row_bytes = static_cast<std::size_t>(elems) * size_of(spec_.dtype);
      visit(whole, small, row_bytes);
      whole += static_cast<std::size_t>(spec_.batch) * row_bytes;
      small += samples.size() * row_bytes;
    }
  };
  each_block([&](std::size_t whole, std::size_t small, std::size_t row_bytes) {
    ops_->copy_rows(static_cast<const std::byte*>(in.data) + whole, samples, rung.input + small, slots, row_bytes);
  });
  rung.segment->run();
  each_block([&](std::size_t whole, std::size_t small, std::size_t row_bytes) {
    ops_->copy_rows(rung.output + small, slots, static_cast<std::byte*>(out.data) + whole, samples, row_bytes);
  });
}

}  // namespace deq
