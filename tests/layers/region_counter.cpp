#include "tests/layers/region_counter.h"

#include <dlfcn.h>
#include <omp.h>

#include <atomic>

// Stands between everything in the program and libgomp: what a compiler makes of `omp parallel` calls these by name.

namespace {

std::atomic<std::size_t> regions{0};

/// @param threads  of the region; 0: as many as there are
void count_region(unsigned threads) {
  const bool has_several = threads == 0 ? omp_get_max_threads() > 1 : threads > 1;
  if (has_several && omp_in_parallel() == 0) ++regions;
}

template <class Function>
Function* next(const char* name) {
  return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

using Region = void(void (*)(void*), void*, unsigned, unsigned);
using Loop = void(void (*)(void*), void*, unsigned, long, long, long, long, unsigned);

}  // namespace

extern "C" {

Region GOMP_parallel;
void GOMP_parallel(void (*body)(void*), void* data, unsigned threads, unsigned flags) {
  static Region* const region = next<Region>("GOMP_parallel");
  count_region(threads);
  region(body, data, threads, flags);
}

Loop GOMP_parallel_loop_dynamic, GOMP_parallel_loop_nonmonotonic_dynamic;
void GOMP_parallel_loop_dynamic(void (*body)(void*), void* data, unsigned threads, long first, long last, long step,
                                long chunk, unsigned flags) {
  static Loop* const loop = next<Loop>("GOMP_parallel_loop_dynamic");
  count_region(threads);
  loop(body, data, threads, first, last, step, chunk, flags);
}

void GOMP_parallel_loop_nonmonotonic_dynamic(void (*body)(void*), void* data, unsigned threads, long first, long last,
                                             long step, long chunk, unsigned flags) {
  static Loop* const loop = next<Loop>("GOMP_parallel_loop_nonmonotonic_dynamic");
  count_region(threads);
  loop(body, data, threads, first, last, step, chunk, flags);
}

}  // extern "C"

namespace deq::tests {

std::size_t parallel_regions() { return regions; }

}  // namespace deq::tests
