#include <array>
#include <cstring>

#include "core/cuda/launcher.h"
#include "core/cuda/pixel_feed.h"
#include "core/error.h"

namespace deq::cuda {
namespace {

/// Pinned memory and its copy on the device: the moves of a batch, then its pixels.
struct Buffer {
  std::byte* pinned = nullptr;
  AlignedBytes device;
  std::size_t bytes = 0;
  cudaEvent_t arrived = nullptr;  // on the copies' stream
  cudaEvent_t used = nullptr;     // on the kernels' stream
  std::int64_t step = -1;         // of the batch that lies here unused
};

class StreamPixelFeed final : public PixelFeed {
 public:
  explicit StreamPixelFeed(Stream& stream) : stream_(stream), launcher_(stream) {
    check_cuda(cudaStreamCreateWithFlags(&copies_, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
    for (Buffer& buffer : buffers_)
      for (cudaEvent_t* event : {&buffer.arrived, &buffer.used})
        check_cuda(cudaEventCreateWithFlags(event, cudaEventDisableTiming), "cudaEventCreateWithFlags");
  }
  ~StreamPixelFeed() override {
    for (Buffer& buffer : buffers_) {
      (void)cudaEventDestroy(buffer.arrived);
      (void)cudaEventDestroy(buffer.used);
      (void)cudaFreeHost(buffer.pinned);
    }
    (void)cudaStreamDestroy(copies_);
  }
  StreamPixelFeed(const StreamPixelFeed&) = delete;
  StreamPixelFeed& operator=(const StreamPixelFeed&) = delete;

  void stage(const PixelBatch& batch) override {
    Buffer& buffer = buffers_[next_];
    next_ = 1 - next_;
    const std::size_t move_bytes = batch.moves.size_bytes(), bytes = move_bytes + batch.pixels.size_bytes();
    check_cuda(cudaEventSynchronize(buffer.arrived), "cudaEventSynchronize");  // two batches ago: long past
    make_room(buffer, bytes);
    std::memcpy(buffer.pinned, batch.moves.data(), move_bytes);
    std::memcpy(buffer.pinned + move_bytes, batch.pixels.data(), batch.pixels.size_bytes());
    check_cuda(cudaStreamWaitEvent(copies_, buffer.used, 0), "cudaStreamWaitEvent");
    check_cuda(cudaMemcpyAsync(buffer.device.get(), buffer.pinned, bytes, cudaMemcpyHostToDevice, copies_), "stage");
    check_cuda(cudaEventRecord(buffer.arrived, copies_), "cudaEventRecord");
    buffer.step = batch.step;
  }

  void deliver(const PixelBatch& batch, void* to) override {
    Buffer* buffer = staged(batch.step);
    if (buffer == nullptr) {
      stage(batch);
      buffer = staged(batch.step);
    }
    const auto* const moves = reinterpret_cast<const PixelMove*>(buffer->device.get());
    const auto* const pixels = reinterpret_cast<const std::uint8_t*>(moves + batch.moves.size());
    check_cuda(cudaStreamWaitEvent(stream_.handle(), buffer->arrived, 0), "cudaStreamWaitEvent");
    launcher_.for_each(batch.shape.elements(), normalise_pixel(batch, pixels, moves, static_cast<float*>(to)));
    check_cuda(cudaEventRecord(buffer->used, stream_.handle()), "cudaEventRecord");
    buffer->step = -1;
  }

 private:
  Buffer* staged(std::int64_t step) {
    for (Buffer& buffer : buffers_)
      if (buffer.step == step) return &buffer;
    return nullptr;
  }
  void make_room(Buffer& buffer, std::size_t bytes) {
    if (bytes <= buffer.bytes) return;
    stream_.synchronize();  // nothing reads the old buffer any more
    (void)cudaFreeHost(buffer.pinned);
    buffer.pinned = nullptr;
    buffer.bytes = 0;
    void* memory = nullptr;
    check_cuda(cudaHostAlloc(&memory, bytes, cudaHostAllocDefault), "cudaHostAlloc");
    buffer.pinned = static_cast<std::byte*>(memory);
    buffer.device = stream_.allocate(bytes);
    stream_.synchronize();  // the copies' stream must not overtake the zeros of a new buffer
    buffer.bytes = bytes;
  }

  Stream& stream_;
  Launcher launcher_;
  cudaStream_t copies_ = nullptr;
  std::array<Buffer, 2> buffers_;
  std::size_t next_ = 0;
};

}  // namespace

std::unique_ptr<PixelFeed> make_pixel_feed(Stream& stream) { return std::make_unique<StreamPixelFeed>(stream); }

}  // namespace deq::cuda
