#include <doctest/doctest.h>

#include <vector>

#include "core/cuda/host_launcher.h"

// Launch geometry, and the host's stand-in for a stream on which the CUDA kernels are tested without a device.

using namespace deq::cuda;

namespace {

/// Each block sums its part of x by threads in shared memory, then joins the threads' sums, and scales its part.
struct NormaliseBlocks {
  const float* x;
  float* y;
  Index per_block;

  template <class Block>
  void operator()(const Block& block) const {
    const Index begin = block.index() * per_block;
    auto* kept = block.template shared<float>();
    block.each_thread([&](int thread) {
      kept[thread] = 0;
      for (Index i = thread; i < per_block; i += block.threads()) kept[thread] += x[begin + i];
    });
    const float total = block.sum([&](int thread) { return kept[block.threads() - 1 - thread]; });
    const float largest = block.max([&](int thread) { return kept[thread]; });
    block.each_thread([&](int thread) {
      for (Index i = thread; i < per_block; i += block.threads()) y[begin + i] = x[begin + i] / total + largest;
    });
  }
};

}  // namespace

TEST_CASE("a launch for n elements covers them within the limits of a grid") {
  static_assert(shape_for_each(1) == LaunchShape{1, 256});
  static_assert(shape_for_each(256) == LaunchShape{1, 256});
  static_assert(shape_for_each(257) == LaunchShape{2, 256});
  CHECK(shape_for_each(0).blocks == 1);
  CHECK(shape_for_each(kMostElements).blocks == 1U << 20);
  for (const std::int64_t n : {1, 31, 32, 33, 1000, 5000}) {
    CHECK(whole_warps(n) % kWarp == 0);
    CHECK(whole_warps(n) >= std::min<std::int64_t>(n, kMostThreads));
    CHECK(whole_warps(n) <= kMostThreads);
  }
}

TEST_CASE("rows are cut into pieces until there are blocks for a whole GPU") {
  CHECK(pieces_of(1, 100, 64) == 1);
  CHECK(pieces_of(32, 24 * 1024, 64) == 6);      // 4 Ki elements a piece
  CHECK(pieces_of(32, 1024 * 1024, 64) == 16);   // 512 blocks in all
  CHECK(pieces_of(4096, 1024 * 1024, 64) == 1);  // rows enough
  CHECK(pieces_of(1, 1 << 24, 64) == 64);        // as many as the caller takes
}

TEST_CASE("a block program sees all threads' writes of the phase before") {
  constexpr Index kPerBlock = 100, kBlocks = 3;
  std::vector<float> x(kPerBlock * kBlocks), y(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i % 7);
  HostLauncher().for_each_block(kBlocks, 32, 32 * sizeof(float), NormaliseBlocks{x.data(), y.data(), kPerBlock});
  for (Index block = 0; block < kBlocks; ++block) {
    std::vector<float> sums(32, 0);
    float total = 0, largest = 0;
    for (Index i = 0; i < kPerBlock; ++i) sums[static_cast<std::size_t>(i % 32)] += x[block * kPerBlock + i];
    for (const float sum : sums) total += sum, largest = std::max(largest, sum);
    for (Index i = block * kPerBlock; i < (block + 1) * kPerBlock; ++i) CHECK(y[i] == x[i] / total + largest);
  }
}

TEST_CASE("for_each visits every index once") {
  struct Count {
    int* visits;
    void operator()(Index i) const { ++visits[i]; }
  };
  std::vector<int> visits(1000, 0);
  HostLauncher().for_each(1000, Count{visits.data()});
  CHECK(std::ranges::all_of(visits, [](int n) { return n == 1; }));
}
