#include "train/allocation_counter.h"

#include <omp.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>

#include "core/cpu/vendor_call.h"

namespace {

constexpr std::size_t kClassBytes = 64;
constexpr std::size_t kClasses = 16;  // blocks of up to 1 KiB are recycled; oneDNN's argument tables are smaller

/// Before every block: 0 for one that goes back to the heap, else its size in units of kClassBytes.
/// In front of every block that came from here. Tools that are loaded into the process (profilers, memory checkers)
/// bring an operator new of their own and may hand its blocks to our delete; the mark tells them apart.
struct alignas(std::max_align_t) Header {
  static constexpr std::uint64_t kMark = 0x9d1c5e7a40b3f286;
  std::uint32_t size_class = 0;
  std::uint32_t holder = 0;  ///< of a recycled block: see BlockClass
  std::uint64_t mark = kMark;
};

struct FreeBlock {
  FreeBlock* next = nullptr;
};

std::atomic<std::uint64_t> own{0};
std::atomic<std::uint64_t> vendor{0};
std::atomic_flag is_locked = ATOMIC_FLAG_INIT;
constexpr std::uint32_t kHolders = 64;  // threads beyond share a number, and then count as one
std::atomic<std::uint32_t> holders{0};
thread_local const std::uint32_t this_holder = holders.fetch_add(1, std::memory_order_relaxed) % kHolders;
/// Blocks of one size. There are as many as all threads need that each hold the most a thread has ever held, so that
/// threads which run their calls at the same time for the first time ask the heap for nothing.
struct BlockClass {
  FreeBlock* free = nullptr;
  std::array<std::int64_t, kHolders> held{};  ///< by each thread
  std::int64_t most_held = 0, made = 0;
};
std::array<BlockClass, kClasses + 1> classes{};  // guarded by is_locked

class Lock {
 public:
  Lock() {
    while (is_locked.test_and_set(std::memory_order_acquire)) {
    }
  }
  ~Lock() { is_locked.clear(std::memory_order_release); }
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;
};

bool make_block(std::uint32_t size_class) {
  vendor.fetch_add(1, std::memory_order_relaxed);
  void* const memory = std::malloc(sizeof(Header) + size_class * kClassBytes);
  if (!memory) return false;
  BlockClass& all = classes[size_class];
  all.free = new (new (memory) Header{size_class} + 1) FreeBlock{all.free};
  ++all.made;
  return true;
}

void* take_block(std::uint32_t size_class) {
  const std::uint32_t holder = this_holder;
  const Lock lock;
  BlockClass& all = classes[size_class];
  std::int64_t& held = all.held[holder];
  if (++held > all.most_held) {
    all.most_held = held;
    while (all.made < omp_get_max_threads() * all.most_held && make_block(size_class)) {
    }
  }
  if (all.free == nullptr && !make_block(size_class)) {  // memory is full, or there are more threads than expected
    --held;
    return nullptr;
  }
  FreeBlock* const block = all.free;
  all.free = block->next;
  (reinterpret_cast<Header*>(block) - 1)->holder = holder;
  return block;
}

void* allocate_or_null(std::size_t bytes) noexcept {
  const bool is_vendor = deq::VendorCall::is_active();
  const std::size_t units = bytes == 0 ? 1 : (bytes + kClassBytes - 1) / kClassBytes;
  if (is_vendor && units <= kClasses) return take_block(static_cast<std::uint32_t>(units));
  (is_vendor ? vendor : own).fetch_add(1, std::memory_order_relaxed);
  void* memory = std::malloc(sizeof(Header) + bytes);
  return memory ? new (memory) Header{} + 1 : nullptr;
}

void* allocate(std::size_t bytes) {
  if (void* memory = allocate_or_null(bytes)) return memory;
  throw std::bad_alloc();
}

void release(void* memory) noexcept {
  if (!memory) return;
  Header* const header = static_cast<Header*>(memory) - 1;
  if (header->mark != Header::kMark) return std::free(memory);
  const std::uint32_t size_class = header->size_class, holder = header->holder;
  if (size_class == 0) return std::free(header);
  auto* const block = new (memory) FreeBlock;
  const Lock lock;
  BlockClass& all = classes[size_class];
  block->next = all.free;
  all.free = block;
  --all.held[holder];
}

}  // namespace

void* operator new(std::size_t bytes) { return allocate(bytes); }
void* operator new[](std::size_t bytes) { return allocate(bytes); }
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept { return allocate_or_null(bytes); }
void* operator new[](std::size_t bytes, const std::nothrow_t&) noexcept { return allocate_or_null(bytes); }
void operator delete(void* memory) noexcept { release(memory); }
void operator delete[](void* memory) noexcept { release(memory); }
void operator delete(void* memory, std::size_t) noexcept { release(memory); }
void operator delete[](void* memory, std::size_t) noexcept { release(memory); }

namespace deq {

AllocationCount allocation_count() { return {own.load(), vendor.load()}; }

}  // namespace deq
