#pragma once

#include <omp.h>

#include <algorithm>
#include <cstdint>
#include <span>

namespace deq::cpu {

/// Below this many elements of work a parallel region costs more than it saves (about 5 us against 16 Ki additions).
inline constexpr std::int64_t kSerialElements = 16384;

/// Multiply-adds of a product that take as long as one element: 64^3 of them are worth a region, as in OpenBLAS.
inline constexpr std::int64_t kProductsPerElement = 16;

/// True where this many elements of work are worth a parallel region, and the caller is in none.
inline bool is_worth_threads(std::int64_t elements) { return elements >= kSerialElements && omp_in_parallel() == 0; }

/// Threads to plan for in a kernel of this many multiply-adds a run.
inline std::int64_t threads_for_products(std::int64_t multiply_adds) {
  return multiply_adds / kProductsPerElement < kSerialElements ? 1 : omp_get_max_threads();
}

/// body() on each of `threads` threads, among which its `omp for` loops are shared. One alone is the calling thread,
/// with no parallel region unless it is in one already, whose threads its loops must not be shared with.
template <class Body>
void on_team(std::int64_t threads, const Body& body) {
  if (threads == 1 && omp_get_level() == 0) return body();
#pragma omp parallel num_threads(static_cast <int>(threads))
  body();
}

/// body(i) for i in [0, count), on all threads when `elements` (the work of all of it) is worth a parallel region and
/// this is not one already.
/// What body(i) computes must not depend on the thread, so results are the same for any number of threads.
template <class Body>
void parallel_for(std::int64_t count, std::int64_t elements, const Body& body) {
  if (count <= 1 || !is_worth_threads(elements)) {
    for (std::int64_t i = 0; i < count; ++i) body(i);
    return;
  }
#pragma omp parallel for schedule(static)
  for (std::int64_t i = 0; i < count; ++i) body(i);
}

/// body(begin, end) over [0, n) cut into blocks of `block`.
template <class Body>
void parallel_blocks(std::int64_t n, std::int64_t block, std::int64_t elements, const Body& body) {
  parallel_for((n + block - 1) / block, elements,
               [&](std::int64_t i) { body(i * block, std::min(n, (i + 1) * block)); });
}

/// As above for arrays of `n` elements.
template <class Body>
void parallel_elements(std::int64_t n, const Body& body) {
  parallel_blocks(n, kSerialElements / 2, n, body);
}

/// First item of part `part` of `parts`, each of about the same cost, where item i costs start[i + 1] - start[i] +
/// `each`.
/// @param start  [items + 1], from 0 on
std::int64_t first_of_part(std::span<const std::int64_t> start, std::int64_t each, std::int64_t part,
                           std::int64_t parts);

/// Copies `bytes` bytes, which must not overlap.
void parallel_copy(void* to, const void* from, std::int64_t bytes);

}  // namespace deq::cpu
