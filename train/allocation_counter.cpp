#include "train/allocation_counter.h"

#include <atomic>
#include <cstdlib>
#include <new>

#include "core/cpu/vendor_call.h"

namespace {

std::atomic<std::uint64_t> own{0};
std::atomic<std::uint64_t> vendor{0};

void* counted(std::size_t bytes) {
  (deq::VendorCall::is_active() ? vendor : own).fetch_add(1, std::memory_order_relaxed);
  if (void* memory = std::malloc(bytes ? bytes : 1)) return memory;
  throw std::bad_alloc();
}

}  // namespace

void* operator new(std::size_t bytes) { return counted(bytes); }
void* operator new[](std::size_t bytes) { return counted(bytes); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }

namespace deq {

AllocationCount allocation_count() { return {own.load(), vendor.load()}; }

}  // namespace deq
