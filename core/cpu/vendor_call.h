#pragma once

#include <atomic>

namespace deq {

/// While one is alive, a vendor library is at work. Lets an allocation counter tell whose allocation it sees: oneDNN
/// puts argument tables on the heap whenever a primitive executes (six to twelve small blocks in 2.6.3, on its worker
/// threads too) and has no call that does not; everything else in a replay allocates nothing.
class VendorCall {
 public:
  VendorCall() { depth_.fetch_add(1, std::memory_order_relaxed); }
  ~VendorCall() { depth_.fetch_sub(1, std::memory_order_relaxed); }
  VendorCall(const VendorCall&) = delete;
  VendorCall& operator=(const VendorCall&) = delete;
  [[nodiscard]] static bool is_active() { return depth_.load(std::memory_order_relaxed) > 0; }

 private:
  static inline std::atomic<int> depth_{0};
};

}  // namespace deq
