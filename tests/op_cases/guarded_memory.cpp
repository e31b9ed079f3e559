#include "tests/op_cases/guarded_memory.h"

#include <sys/mman.h>

#include <map>

namespace deq::tests {

namespace {

std::map<void*, std::size_t>& regions() {
  static std::map<void*, std::size_t> all;
  return all;
}

int open_accesses = 0;

void protect_all(int protection) {
  for (const auto& [memory, bytes] : regions()) (void)mprotect(memory, bytes, protection);
}

void release_guarded(void* memory) {
  const auto region = regions().find(memory);
  (void)munmap(memory, region->second);
  regions().erase(region);
}

}  // namespace

AlignedBytes allocate_guarded(std::size_t bytes) {
  if (bytes == 0) return nullptr;
  const int protection = open_accesses > 0 ? PROT_READ | PROT_WRITE : PROT_NONE;
  void* memory = mmap(nullptr, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  check(memory != MAP_FAILED, "guarded memory", "no room for ", bytes, " bytes");
  regions()[memory] = bytes;
  return AlignedBytes(static_cast<std::byte*>(memory), FreeDeleter{&release_guarded});
}

Access::Access() {
  if (open_accesses++ == 0) protect_all(PROT_READ | PROT_WRITE);
}

Access::~Access() {
  if (--open_accesses == 0) protect_all(PROT_NONE);
}

}  // namespace deq::tests
