#include "core/dependencies.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>

#include "core/buffer_order.h"
#include "core/builder.h"
#include "core/cpu/backend.h"
#include "core/program.h"

using namespace deq;

namespace {

std::array<std::byte, 64> memory;

ByteRange range(std::size_t first, std::size_t bytes) { return {memory.data() + first, bytes}; }

BoundLaunch launch(std::vector<ByteRange> reads, std::vector<ByteRange> writes) {
  return {.kernel = nullptr, .reads = std::move(reads), .writes = std::move(writes)};
}

/// The CPU backend; keeps what its segments' launches wait for.
class ListeningBackend final : public Backend {
 public:
  explicit ListeningBackend(bool runs_side_by_side) : runs_side_by_side_(runs_side_by_side) {}
  [[nodiscard]] Device device() const override { return cpu_.device(); }
  [[nodiscard]] std::unique_ptr<Kernel> lower(const KernelRequest& request) override { return cpu_.lower(request); }
  [[nodiscard]] bool may_overwrite(const Op& op, std::size_t input) const override {
    return cpu_.may_overwrite(op, input);
  }
  [[nodiscard]] std::unique_ptr<Segment> freeze(std::vector<BoundLaunch> launches) override {
    heard = dependencies_of(launches);
    return Backend::freeze(std::move(launches));
  }
  [[nodiscard]] bool runs_side_by_side() const override { return runs_side_by_side_; }
  [[nodiscard]] StateOps& state_ops() override { return cpu_.state_ops(); }

  std::vector<std::vector<std::size_t>> heard;

 private:
  CpuBackend cpu_;
  bool runs_side_by_side_;
};

/// Launches of the longest chain.
std::size_t longest_chain(const std::vector<std::vector<std::size_t>>& dependencies) {
  std::vector<std::size_t> length;
  for (const auto& waits : dependencies) {
    std::size_t longest = 0;
    for (const std::size_t first : waits) longest = std::max(longest, length[first]);
    length.push_back(longest + 1);
  }
  return std::ranges::max(length);
}

}  // namespace

TEST_CASE("launches wait for those whose memory they share, unless both only read") {
  const std::vector<BoundLaunch> launches{
      launch({}, {range(0, 8)}),                            // 0
      launch({range(0, 8)}, {range(8, 8)}),                 // 1 reads what 0 wrote
      launch({range(4, 4)}, {range(16, 8)}),                // 2 reads a part of it
      launch({range(8, 8), range(16, 8)}, {range(24, 8)}),  // 3 reads 1 and 2, and so comes after 0
      launch({}, {range(16, 4)}),                           // 4 writes where 2 wrote and 3 read
      launch({range(40, 8)}, {range(48, 8)}),               // 5 touches nothing of the others
  };
  const auto dependencies = dependencies_of(launches);
  CHECK(dependencies[0].empty());
  CHECK(dependencies[1] == std::vector<std::size_t>{0});
  CHECK(dependencies[2] == std::vector<std::size_t>{0});
  CHECK(dependencies[3] == std::vector<std::size_t>{2, 1});
  CHECK(dependencies[4] == std::vector<std::size_t>{3});
  CHECK(dependencies[5].empty());
}

TEST_CASE("ranges that touch do not meet") {
  CHECK_FALSE(range(0, 8).meets(range(8, 8)));
  CHECK(range(0, 9).meets(range(8, 8)));
  CHECK_FALSE(range(8, 0).meets(range(8, 8)));
}

TEST_CASE("plans for launches side by side leave branches independent, and share memory along them") {
  constexpr std::int64_t kRows = 64;
  constexpr int kBranches = 4, kSteps = 5;
  Graph graph;
  const Value x = graph.input("x", {DType::f32, {kRows, kRows}}, Rate::batch);
  Value total = x;
  for (int branch = 0; branch < kBranches; ++branch) {
    Value y = x * (2.0 + branch);
    for (int step = 0; step < kSteps; ++step) y = matmul(y, x);  // not in place
    total = total + y;
  }
  const std::vector<Value> outputs{total};
  ListeningBackend in_turn(false), side_by_side(true);
  const Program narrow = Program::compile(graph, outputs, in_turn);
  const Program wide = Program::compile(graph, outputs, side_by_side);
  CHECK(longest_chain(side_by_side.heard) == 1 + kSteps + kBranches);
  CHECK(longest_chain(in_turn.heard) > 1 + kSteps + kBranches);
  CHECK(wide.peak_bytes() > narrow.peak_bytes());
  constexpr std::size_t kMatrix = kRows * kRows * sizeof(float);
  CHECK(wide.peak_bytes() <= (2 * kBranches + 2) * kMatrix);  // x, the sum, and two of each branch
}
