#include <cuda_runtime_api.h>

#include <memory>

#include "core/cuda/launcher.h"
#include "core/cuda/state_ops.h"
#include "core/cuda/state_ops_on.h"
#include "core/error.h"

namespace deq::cuda {
namespace {

struct FreePinned {
  void operator()(std::byte* memory) const { (void)cudaFreeHost(memory); }
};

/// 16 bytes of scalars on their way to the device. A kernel is faster than the copy engine, which kernels wait for.
struct UploadScalars {
  const RowWord* from;
  RowWord* to;
  DEQ_HOST_DEVICE void operator()(Index i) const { to[i] = from[i]; }
};

/// The runner of StateOpsOn on a stream. Scalars lie in pinned memory, which kernels write over the bus and read from a
/// copy in the device's memory.
class StreamRunner {
 public:
  explicit StreamRunner(Stream& stream) : stream_(&stream), launcher_(stream) {}

  ScalarStage::Memory reserve(std::size_t bytes) {
    pinned_.reset();
    void* host = nullptr;
    void* mapped = nullptr;
    check_cuda(cudaHostAlloc(&host, bytes, cudaHostAllocMapped), "cudaHostAlloc");
    pinned_.reset(static_cast<std::byte*>(host));
    check_cuda(cudaHostGetDevicePointer(&mapped, host, 0), "cudaHostGetDevicePointer");
    copy_ = stream_->allocate(bytes);
    return {pinned_.get(), copy_.get(), static_cast<std::byte*>(mapped), bytes};
  }
  void upload(const ScalarStage::Memory& memory, ScalarStage::Upload part) {
    constexpr std::size_t kWord = sizeof(RowWord);  // parts begin at multiples of it and end in its padding
    launcher_.for_each(static_cast<std::int64_t>((part.bytes + kWord - 1) / kWord),
                       UploadScalars{reinterpret_cast<const RowWord*>(memory.host_for_kernels + part.offset),
                                     reinterpret_cast<RowWord*>(memory.copy + part.offset)});
  }
  template <class Functor>
  void for_each(std::int64_t n, const Functor& functor) {
    launcher_.for_each(n, functor);
  }
  template <class Program>
  void for_each_block(std::int64_t blocks, int threads, std::size_t shared_bytes, const Program& program) {
    if (threads <= kMostSampleThreads)
      launcher_.for_each_block(blocks, threads, shared_bytes, program);
    else if (stream_->limits().has_clusters)
      launcher_.for_each_cluster(blocks, kMostSampleThreads, program);
    else
      launcher_.for_each_block(blocks, kMostSampleThreads, shared_bytes, program);
  }
  [[nodiscard]] AlignedBytes allocate(std::size_t bytes) const { return stream_->allocate(bytes); }
  void wait() { stream_->synchronize(); }

 private:
  Stream* stream_;
  Launcher launcher_;
  std::unique_ptr<std::byte, FreePinned> pinned_;
  AlignedBytes copy_;
};

}  // namespace

std::unique_ptr<StateOps> make_state_ops(Stream& stream) { return std::make_unique<StateOpsOn<StreamRunner>>(stream); }

}  // namespace deq::cuda
