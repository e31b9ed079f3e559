#include "core/cpu/sparse_product.h"

#include <omp.h>

#include <algorithm>
#include <span>

#include "core/cpu/parallel.h"

namespace deq::cpu {
namespace {

/// What a line costs beside its entries, in entries: loop start, store, the missed prediction of its end.
constexpr std::int64_t kLineCost = 4;

/// body(begin, end) on every thread's share of the lines.
template <class Body>
void share_lines(const CompressedLines& lines, std::int64_t width, const Body& body) {
  const std::int64_t work = (lines.start[lines.count] - lines.start[0] + lines.count) * width;
  if (!is_worth_threads(work)) {
    body(0, lines.count);
    return;
  }
#pragma omp parallel
  {
    const std::int64_t parts = omp_get_num_threads();
    const std::int64_t part = omp_get_thread_num();
    const std::span<const std::int64_t> start(lines.start, static_cast<std::size_t>(lines.count) + 1);
    body(first_of_part(start, kLineCost, part, parts), first_of_part(start, kLineCost, part + 1, parts));
  }
}

}  // namespace

void sparse_block_product(const CompressedLines& lines, std::int64_t width, const double* v, double* out) {
  share_lines(lines, width, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t line = begin; line < end; ++line) {
      double* const sums = out + line * width;
      std::fill_n(sums, width, 0.0);
      for (std::int64_t k = lines.start[line]; k < lines.start[line + 1]; ++k) {
        const double value = lines.value[k];
        const double* const from = v + lines.index[k] * width;
#pragma omp simd
        for (std::int64_t column = 0; column < width; ++column) sums[column] += value * from[column];
      }
    }
  });
}

}  // namespace deq::cpu
