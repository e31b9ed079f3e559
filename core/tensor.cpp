#include "core/tensor.h"

#include <sys/mman.h>

#include <cstring>

namespace deq {

AlignedBytes allocate_aligned(std::size_t bytes) {
  // Arenas of several huge pages ask for them: solver sweeps over tens of megabytes otherwise wait for the TLB.
  constexpr std::size_t kHugePage = std::size_t{1} << 21;
  const bool is_large = bytes >= 4 * kHugePage;
  const std::size_t alignment = is_large ? kHugePage : 64;
  const std::size_t rounded = (bytes + alignment - 1) / alignment * alignment;
  if (rounded == 0) return nullptr;
  void* memory = std::aligned_alloc(alignment, rounded);
  check(memory != nullptr, "allocate", "no memory for ", rounded, " bytes");
  if (is_large) (void)madvise(memory, rounded, MADV_HUGEPAGE);  // a hint; failure changes nothing
  std::memset(memory, 0, rounded);
  return AlignedBytes(static_cast<std::byte*>(memory));
}

Tensor::Tensor(TensorType type) : type_(type) {
  // Scalars and empty tensors still own a block, so `raw()` is never null for a constructed tensor.
  AlignedBytes memory = allocate_aligned(std::max<std::size_t>(type.bytes(), 1));
  storage_ = std::shared_ptr<std::byte[]>(memory.release(), FreeDeleter{});
}

Tensor Tensor::clone() const {
  Tensor out(type_);
  if (!is_empty()) std::memcpy(out.raw(), raw(), bytes());
  return out;
}

void Tensor::check_dtype(DType wanted) const {
  check(type_.dtype == wanted, "tensor", "holds ", type_, ", asked for ", name_of(wanted));
}

}  // namespace deq
