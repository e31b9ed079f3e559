#include "core/cuda/stream.h"

#include "core/cuda/check.h"
#include "core/cuda/device.h"

namespace deq::cuda {

namespace {

void release_device_memory(void* memory) { (void)cudaFree(memory); }

}  // namespace

Stream::Stream(int index) : index_(index) {
  const std::string reason = no_cuda_reason();
  require(reason.empty(), "cuda", "there is no device: ", reason);
  const std::vector<CudaDevice> devices = cuda_devices();
  require(index >= 0 && index < static_cast<int>(devices.size()), "cuda", "there is no device ", index, ", only 0 to ",
          devices.size() - 1);
  check_cuda(cudaSetDevice(index), "cudaSetDevice");
  const auto attribute = [index](cudaDeviceAttr which) {
    int value = 0;
    check_cuda(cudaDeviceGetAttribute(&value, which, index), "cudaDeviceGetAttribute");
    return value;
  };
  limits_.has_clusters = attribute(cudaDevAttrComputeCapabilityMajor) >= 9;
  limits_.shared_bytes = static_cast<std::size_t>(attribute(cudaDevAttrMaxSharedMemoryPerBlockOptin));
  multiprocessor_bytes_ = static_cast<std::size_t>(attribute(cudaDevAttrMaxSharedMemoryPerMultiprocessor));
  check_cuda(cudaStreamCreateWithFlags(&handle_, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
}

Stream::~Stream() { (void)cudaStreamDestroy(handle_); }

AlignedBytes Stream::allocate(std::size_t bytes) const {
  if (bytes == 0) return nullptr;
  void* memory = nullptr;
  const cudaError_t status = cudaMalloc(&memory, bytes);
  if (status == cudaErrorMemoryAllocation) {
    (void)cudaGetLastError();
    const double mib = 1.0 / (1 << 20);
    check(false, "cuda", "device ", index_, " has no room for ", bytes, " bytes (", static_cast<double>(bytes) * mib,
          " MiB planned, ", static_cast<double>(free_cuda_memory(index_)) * mib,
          " MiB free); make the batch smaller (train.batch_size), let the solver keep fewer steps (solver.memory), or "
          "take "
          "the gradient estimator that keeps least (jfb)");
  }
  check_cuda(status, "cudaMalloc");
  AlignedBytes owned(static_cast<std::byte*>(memory), FreeDeleter{&release_device_memory});
  check_cuda(cudaMemsetAsync(memory, 0, bytes, handle_), "cudaMemsetAsync");
  return owned;
}

void Stream::upload(void* to, const void* from, std::size_t bytes) const {
  if (bytes > 0) check_cuda(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, handle_), "upload");
}

void Stream::download(void* to, const void* from, std::size_t bytes) {
  if (bytes == 0) return;
  check_cuda(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, handle_), "download");
  synchronize();
}

void Stream::copy(void* to, const void* from, std::size_t bytes) const {
  if (bytes > 0) check_cuda(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, handle_), "copy");
}

void Stream::synchronize() {
  ++waits_;
  check_cuda(cudaStreamSynchronize(handle_), "cudaStreamSynchronize");
}

}  // namespace deq::cuda
