#include "tests/op_cases/allocation_counter.h"

#include <atomic>
#include <cstdlib>
#include <new>

#include "core/cpu/vendor_call.h"

namespace deq::tests {

namespace {
std::atomic<std::size_t> count{0};
std::atomic<std::size_t> vendor_count{0};
}  // namespace

std::size_t allocations() { return count.load(); }
std::size_t vendor_allocations() { return vendor_count.load(); }

namespace {
void* counted_or_null(std::size_t bytes) noexcept {
  (VendorCall::is_active() ? vendor_count : count).fetch_add(1);
  return std::malloc(bytes == 0 ? 1 : bytes);
}
void* counted(std::size_t bytes) {
  if (void* memory = counted_or_null(bytes)) return memory;
  throw std::bad_alloc();
}
}  // namespace

}  // namespace deq::tests

void* operator new(std::size_t bytes) { return deq::tests::counted(bytes); }
void* operator new[](std::size_t bytes) { return deq::tests::counted(bytes); }
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept { return deq::tests::counted_or_null(bytes); }
void* operator new[](std::size_t bytes, const std::nothrow_t&) noexcept { return deq::tests::counted_or_null(bytes); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }
