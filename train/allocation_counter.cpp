#include "train/allocation_counter.h"

#include <atomic>
#include <cstdlib>
#include <new>

#include "core/cpu/vendor_call.h"

namespace {

std::atomic<std::uint64_t> own{0};
std::atomic<std::uint64_t> vendor{0};

void* counted_or_null(std::size_t bytes) noexcept {
  (deq::VendorCall::is_active() ? vendor : own).fetch_add(1, std::memory_order_relaxed);
  return std::malloc(bytes ? bytes : 1);
}

void* counted(std::size_t bytes) {
  if (void* memory = counted_or_null(bytes)) return memory;
  throw std::bad_alloc();
}

}  // namespace

void* operator new(std::size_t bytes) { return counted(bytes); }
void* operator new[](std::size_t bytes) { return counted(bytes); }
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept { return counted_or_null(bytes); }
void* operator new[](std::size_t bytes, const std::nothrow_t&) noexcept { return counted_or_null(bytes); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }

namespace deq {

AllocationCount allocation_count() { return {own.load(), vendor.load()}; }

}  // namespace deq
