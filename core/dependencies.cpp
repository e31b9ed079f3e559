#include "core/dependencies.h"

#include <algorithm>

#include "core/precedence.h"

namespace deq {
namespace {

bool meet(const std::vector<ByteRange>& some, const std::vector<ByteRange>& others) {
  return std::ranges::any_of(some, [&](const ByteRange& range) {
    return std::ranges::any_of(others, [&](const ByteRange& other) { return range.meets(other); });
  });
}

}  // namespace

bool depend(const BoundLaunch& a, const BoundLaunch& b) {
  return meet(a.writes, b.reads) || meet(a.writes, b.writes) || meet(a.reads, b.writes);
}

std::vector<std::vector<std::size_t>> dependencies_of(std::span<const BoundLaunch> launches) {
  Precedence order(launches.size());
  std::vector<std::vector<std::size_t>> out(launches.size());
  for (std::size_t then = 0; then < launches.size(); ++then)
    for (std::size_t first = then; first-- > 0;) {
      if (order.precedes(first, then) || !depend(launches[first], launches[then])) continue;
      order.add(first, then);
      out[then].push_back(first);
    }
  return out;
}

}  // namespace deq
