// Sparse products against memory bandwidth, measured turn by turn in one run.
//
//   DEQ_DATA_DIR=... build/release/bench_sparse_product
//
// On 20 Newsgroups when DEQ_DATA_DIR holds it, with frequent words first (`deq tune` merges multiples as well), and on
// a matrix of the same size whose columns are drawn by Zipf's law. `GB/s` counts what a product of a plain CSR matrix
// must move once: 12 bytes an entry, 8 a line, both vectors. (20news is word counts over row norms, which SparseMatrix
// packs in 3 bytes, so that it may exceed the plain read; the Zipf matrix has arbitrary values.) `read_GB/s` and
// `triad_GB/s` are streams over as many bytes by the same threads, taken in turn with the products (best of all turns
// each): both fit a third-level cache of 32 MiB. `memory_GB/s` is a read of 256 MiB, which comes from memory.
// `read/product` and `memory/product` are how many times faster the reads are.

#include <benchmark/benchmark.h>
#include <omp.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "core/sparse_matrix.h"
#include "data/feature_order.h"
#include "data/tabular.h"

namespace {

using deq::SparseMatrix;

constexpr std::int64_t kRows = 11314;
constexpr std::int64_t kColumns = 130107;
constexpr std::int64_t kRowEntries = 158;

SparseMatrix zipf_matrix() {
  std::mt19937_64 random(1);
  std::uniform_real_distribution<double> uniform(0, 1);
  std::vector<std::int32_t> place(kColumns);
  for (std::int64_t j = 0; j < kColumns; ++j) place[j] = static_cast<std::int32_t>(j);
  std::shuffle(place.begin(), place.end(), random);
  std::vector<std::int64_t> start = {0};
  std::vector<std::int32_t> column;
  std::vector<double> value;
  for (std::int64_t row = 0; row < kRows; ++row) {
    std::vector<std::int32_t> chosen;
    for (std::int64_t k = 0; k < kRowEntries; ++k) {
      // Rank with density 1 / rank: log-uniform.
      const double rank = std::pow(static_cast<double>(kColumns), uniform(random)) - 1;
      chosen.push_back(place[static_cast<std::int64_t>(rank)]);
    }
    std::ranges::sort(chosen);
    chosen.erase(std::ranges::unique(chosen).begin(), chosen.end());
    for (const std::int32_t j : chosen) {
      column.push_back(j);
      value.push_back(uniform(random));
    }
    start.push_back(static_cast<std::int64_t>(column.size()));
  }
  return {kColumns, std::move(start), std::move(column), std::move(value)};
}

const SparseMatrix& matrix(bool is_real) {
  static const SparseMatrix zipf = zipf_matrix();
  static const SparseMatrix news = [] {
    const char* const directory = std::getenv("DEQ_DATA_DIR");
    return directory == nullptr
               ? SparseMatrix()
               : deq::with_frequent_features_first(deq::open_tabular("20news", directory, deq::LabelTask::binary))
                     .train.features;
  }();
  return is_real ? news : zipf;
}

/// Seconds of one call.
template <class Call>
double seconds_of(const Call& call) {
  const auto start = std::chrono::steady_clock::now();
  call();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double read_all(const std::vector<double>& from) {
  double sum = 0;
#pragma omp parallel for simd schedule(static) reduction(+ : sum)
  for (std::size_t i = 0; i < from.size(); ++i) sum += from[i];
  return sum;
}

const std::vector<double>& beyond_caches() {
  static const std::vector<double> out(std::size_t{1} << 25U, 1.0);
  return out;
}

void triad(const std::vector<double>& a, const std::vector<double>& b, std::vector<double>& out) {
#pragma omp parallel for simd schedule(static)
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = a[i] + 3.0 * b[i];
}

void measure(benchmark::State& state, bool is_real, bool is_transposed) {
  const SparseMatrix& x = matrix(is_real);
  if (x.rows() == 0) {
    state.SkipWithError("DEQ_DATA_DIR does not hold 20news");
    return;
  }
  const int threads_before = omp_get_max_threads();
  omp_set_num_threads(static_cast<int>(state.range(0)));
  const std::int64_t lines = is_transposed ? x.columns() : x.rows();
  const double bytes = 12.0 * static_cast<double>(x.nonzeros()) + 8.0 * static_cast<double>(lines) +
                       8.0 * static_cast<double>(x.rows() + x.columns());
  std::vector<double> v(is_transposed ? x.rows() : x.columns(), 0.5);
  std::vector<double> out(lines);
  const std::vector<double> stream(static_cast<std::size_t>(bytes / sizeof(double)), 1.0);
  std::vector<double> third(stream.size() / 3, 1.0);
  const std::vector<double> other(third.size(), 1.0);
  const std::vector<double> another(third.size(), 1.0);

  double product = 1e9;
  double read = 1e9;
  double triads = 1e9;
  double memory = 1e9;
  for (auto _ : state) {
    const double seconds = seconds_of([&] { is_transposed ? x.multiply_transposed(v, out) : x.multiply(v, out); });
    state.SetIterationTime(seconds);
    product = std::min(product, seconds);
    read = std::min(read, seconds_of([&] { benchmark::DoNotOptimize(read_all(stream)); }));
    memory = std::min(memory, seconds_of([&] { benchmark::DoNotOptimize(read_all(beyond_caches())); }));
    triads = std::min(triads, seconds_of([&] { triad(other, another, third); }));
    benchmark::DoNotOptimize(out.data());
    benchmark::DoNotOptimize(third.data());
  }
  state.counters["best_ms"] = product * 1e3;
  state.counters["GB/s"] = bytes / product * 1e-9;
  state.counters["read_GB/s"] = bytes / read * 1e-9;
  state.counters["triad_GB/s"] = bytes / triads * 1e-9;
  const double memory_rate = static_cast<double>(sizeof(double) * beyond_caches().size()) / memory;
  state.counters["memory_GB/s"] = memory_rate * 1e-9;
  state.counters["read/product"] = product / read;
  state.counters["memory/product"] = memory_rate * product / bytes;
  omp_set_num_threads(threads_before);
}

void configure(benchmark::internal::Benchmark* bench) {
  bench->Arg(1)->Arg(omp_get_max_threads())->ArgName("threads")->UseManualTime()->Unit(benchmark::kMillisecond);
}

}  // namespace

int main(int argc, char** argv) {
  for (const bool is_real : {true, false}) {
    for (const bool is_transposed : {false, true}) {
      const std::string name = std::string(is_real ? "20news " : "zipf ") + (is_transposed ? "X^T v" : "X v");
      benchmark::RegisterBenchmark(name.c_str(), measure, is_real, is_transposed)->Apply(configure);
    }
  }
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
