#include "tests/core/emulated_cuda.h"

namespace deq::tests {

namespace {

/// Kernels with their updates joined, as a device's segment runs them.
class JoinedList final : public Segment {
 public:
  explicit JoinedList(const std::vector<Kernel*>& kernels) : list_(cuda::join_updates(kernels, owned_)) {}
  void run() override { list_.run(); }

 private:
  std::vector<std::unique_ptr<Kernel>> owned_;
  KernelList list_;
};

}  // namespace

std::unique_ptr<Kernel> lower_emulated(const KernelRequest& request) {
  return cuda::lower_through(request, EmulatedFamilies{});
}

std::unique_ptr<Segment> EmulatedCuda::freeze(std::vector<Kernel*> kernels) {
  return std::make_unique<JoinedList>(kernels);
}

}  // namespace deq::tests
