#include "core/plan.h"

#include <doctest/doctest.h>

#include <random>

using namespace deq;

namespace {

bool overlap(const Buffer& a, const Buffer& b) {
  const bool in_time = a.first <= b.last && b.first <= a.last;
  const bool in_space = a.offset < b.offset + b.bytes && b.offset < a.offset + a.bytes;
  return in_time && in_space && a.bytes > 0 && b.bytes > 0;
}

}  // namespace

TEST_CASE("buffers alive together never overlap and the peak covers them") {
  std::mt19937 generator(7);
  std::uniform_int_distribution<int> start(0, 60), length(0, 20);
  std::uniform_int_distribution<std::size_t> size(0, 5000);
  std::vector<Buffer> buffers;
  for (int i = 0; i < 300; ++i) {
    const int first = start(generator);
    buffers.push_back({.bytes = size(generator), .offset = 0, .first = first, .last = first + length(generator)});
  }
  const std::size_t peak = assign_offsets(buffers);
  for (std::size_t i = 0; i < buffers.size(); ++i) {
    CHECK(buffers[i].offset % 64 == 0);
    CHECK(buffers[i].offset + buffers[i].bytes <= peak);
    for (std::size_t j = 0; j < i; ++j) CHECK_FALSE(overlap(buffers[i], buffers[j]));
  }
}

TEST_CASE("buffers that never meet share memory") {
  std::vector<Buffer> buffers{{.bytes = 640, .first = 0, .last = 1},
                              {.bytes = 640, .first = 2, .last = 3},
                              {.bytes = 640, .first = 4, .last = 9}};
  CHECK(assign_offsets(buffers) == 640);
}
