// One Broyden update on the CPU without f: residual, norms, best iterate, product with the stored steps, step.
//
//   build/release/bench_solver_update [threads]
//
// Mean over the 18 steps of a solve at batch 32 on states of MDEQ TINY and LARGE, each step at its best of 12 rounds,
// for a float32 and a bf16 history.

#include <omp.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <random>
#include <vector>

#include "core/cpu/host_state_ops.h"
#include "solvers/slab.h"

namespace {

using namespace deq;

constexpr int kBatch = 32;
constexpr int kSteps = 18;
constexpr int kRounds = 12;

struct Memory {
  explicit Memory(const StateSpec& spec, DType stored) {
    const auto layout = [&](Slab slab) {
      StateSpec kept = spec;
      kept.dtype = stored;
      steps = slab.take(kept, kSteps + 1);
      for (StateView* state : {&z, &f, &best, &newest}) *state = slab.take(spec);
      return slab.used_bytes();
    };
    bytes = allocate_aligned(layout(Slab()));
    layout(Slab(bytes.get()));
  }
  AlignedBytes bytes;
  StateStack steps;
  StateView z, f, best, newest;
};

/// New values of f, written by all threads as a convolution would.
void draw(const StateSpec& spec, StateView f, unsigned seed) {
  const std::int64_t row = spec.elements() / kBatch;
#pragma omp parallel for schedule(static)
  for (int b = 0; b < kBatch; ++b) {
    std::minstd_rand generator(seed * kBatch + static_cast<unsigned>(b) + 1);
    float* const out = static_cast<float*>(f.data) + b * row;
    for (std::int64_t i = 0; i < row; ++i) out[i] = static_cast<float>(generator() % 65536) / 65536.0F - 0.5F;
  }
}

/// Milliseconds of one update, mean over the steps.
double update_ms(const StateSpec& spec, DType stored) {
  HostStateOps ops;
  Memory memory(spec, stored);
  const bool is_rounded = stored == DType::bf16;
  std::vector<double> coefficient(kBatch * (kSteps + 1)), norm(kBatch), objective(kBatch), lowest(kBatch);
  std::vector<std::uint8_t> improved(kBatch), broke(kBatch);
  std::vector<double> best(kSteps, std::numeric_limits<double>::infinity());
  for (int round = 0; round < kRounds; ++round) {
    ops.fill(spec, memory.z, 0.0, {});
    for (int step = 0; step < kSteps; ++step) {
      draw(spec, memory.f, static_cast<unsigned>(round * kSteps + step));
      std::fill(lowest.begin(), lowest.end(), std::numeric_limits<double>::infinity());  // every iterate is the best
      const auto start = std::chrono::steady_clock::now();
      ops.residual(spec,
                   {.z = memory.z,
                    .f = memory.f,
                    .r = is_rounded ? memory.newest : memory.steps.at(step),
                    .best = memory.best,
                    .residual_norm = norm,
                    .objective = objective,
                    .best_objective = lowest,
                    .improved = improved},
                   {});
      ops.product_step(spec,
                       {.steps = memory.steps,
                        .index = step,
                        .coefficient = coefficient,
                        .z = memory.z,
                        .advance = {},
                        .broke = broke,
                        .stored = stored,
                        .residual = memory.newest},
                       {});
      const std::chrono::duration<double, std::milli> taken = std::chrono::steady_clock::now() - start;
      double& least = best[static_cast<std::size_t>(step)];
      least = std::min(least, taken.count());
    }
  }
  double sum = 0.0;
  for (const double ms : best) sum += ms;
  return sum / kSteps;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1) omp_set_num_threads(std::max(1, std::atoi(argv[1])));
  const StateSpec tiny{.batch = kBatch, .block_elems = {24576, 6144}};
  const StateSpec large{.batch = kBatch, .block_elems = {32768, 16384, 8192, 4096}};
  std::printf("%d threads: one update in ms\n| history | TINY | LARGE |\n|---|---|---|\n", omp_get_max_threads());
  for (const DType stored : {DType::f32, DType::bf16})
    std::printf("| %s | %.2f | %.2f |\n", stored == DType::f32 ? "float32" : "bf16", update_ms(tiny, stored),
                update_ms(large, stored));
  return 0;
}
