#pragma once

namespace deq {

/// While alive, this thread is inside a vendor library. Lets an allocation counter tell whose allocation it sees:
/// oneDNN puts an argument table on the heap whenever a primitive executes (six small blocks in 2.6.3) and has no call
/// that does not; everything else in a replay allocates nothing.
class VendorCall {
 public:
  VendorCall() { ++depth(); }
  ~VendorCall() { --depth(); }
  VendorCall(const VendorCall&) = delete;
  VendorCall& operator=(const VendorCall&) = delete;
  [[nodiscard]] static bool is_active() { return depth() > 0; }

 private:
  static int& depth() {
    thread_local int value = 0;
    return value;
  }
};

}  // namespace deq
