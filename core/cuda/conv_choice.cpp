#include "core/cuda/conv_choice.h"

#include <algorithm>

#include "core/cuda/check.h"
#include "core/cuda/device.h"
#include "core/cuda/graph_segment.h"
#include "core/cuda/kernels.h"
#include "core/cuda/vendor_kernels.h"

namespace deq::cuda {

namespace {

/// Times work on a stream by the device's clock.
class Stopwatch {
 public:
  explicit Stopwatch(const Stream& stream) : stream_(stream.handle()) {
    check_cuda(cudaEventCreate(&start_), "cudaEventCreate");
    check_cuda(cudaEventCreate(&stop_), "cudaEventCreate");
  }
  ~Stopwatch() {
    (void)cudaEventDestroy(start_);
    (void)cudaEventDestroy(stop_);
  }
  Stopwatch(const Stopwatch&) = delete;
  Stopwatch& operator=(const Stopwatch&) = delete;

  /// Shortest of several runs, in milliseconds.
  float best(Segment& work) {
    constexpr int kRuns = 3;
    float shortest = 0;
    for (int run = 0; run < kRuns; ++run) {
      check_cuda(cudaEventRecord(start_, stream_), "cudaEventRecord");
      work.run();
      check_cuda(cudaEventRecord(stop_, stream_), "cudaEventRecord");
      check_cuda(cudaEventSynchronize(stop_), "cudaEventSynchronize");
      float ms = 0;
      check_cuda(cudaEventElapsedTime(&ms, start_, stop_), "cudaEventElapsedTime");
      shortest = run == 0 ? ms : std::min(shortest, ms);
    }
    return shortest;
  }

 private:
  cudaStream_t stream_;
  cudaEvent_t start_ = nullptr, stop_ = nullptr;
};

/// Milliseconds of several launches of `kernel`, one after the other, as programs have them: in a graph, where they
/// cost the host nothing.
float replayed_ms(const Stream& stream, Kernel& kernel, const ByteRange& result) {
  constexpr std::size_t kLaunches = 10;
  const std::vector<BoundLaunch> launches(kLaunches, {.kernel = &kernel, .reads = {}, .writes = {result}});
  SegmentCounts counts;
  GraphSegment segment(stream, launches, counts);
  for (int warmup = 0; warmup < 2; ++warmup) segment.run();  // the first launches one by one, the second captures
  return Stopwatch(stream).best(segment);
}

bool is_faster_in_tiles(const Vendor& vendor, const ConvShape& shape, ConvPass pass, const ConvTiles& cut) {
  const bool is_forward = pass == ConvPass::forward;
  const ConvDirection direction = is_forward ? ConvDirection::forward : ConvDirection::input_grad;
  const std::unique_ptr<Kernel> library = library_conv_on(vendor, direction, shape, /*is_packed=*/true);
  if (library == nullptr) return true;
  const auto bytes_of = [](std::int64_t floats) { return static_cast<std::size_t>(floats) * sizeof(float); };
  const std::size_t image_bytes = bytes_of(shape.image().elements()),
                    result_bytes = bytes_of(shape.result().elements());
  const std::size_t weight_bytes = bytes_of(std::max(shape.weight().elements(), cut.packed_words()));
  const std::size_t scratch_bytes = std::max<std::size_t>(library->workspace_bytes(), 1);
  if (image_bytes + result_bytes + weight_bytes + scratch_bytes > free_cuda_memory(vendor.stream.device()))
    return cut.is_short();  // no room to measure beside what is there
  const AlignedBytes image = vendor.stream.allocate(image_bytes), result = vendor.stream.allocate(result_bytes);
  const AlignedBytes weight = vendor.stream.allocate(weight_bytes), scratch = vendor.stream.allocate(scratch_bytes);
  const std::unique_ptr<Kernel> own = tile_conv_on(vendor.stream, cut, /*is_packed=*/true);
  const void* const in[] = {is_forward ? image.get() : result.get(), weight.get()};
  void* const out[] = {is_forward ? result.get() : image.get()};
  own->bind(in, out, nullptr);
  library->bind(in, out, scratch.get());
  const ByteRange written{static_cast<std::byte*>(out[0]), is_forward ? result_bytes : image_bytes};
  return replayed_ms(vendor.stream, *own, written) < replayed_ms(vendor.stream, *library, written);
}

}  // namespace

std::optional<ConvTiles> ConvChoices::tiles_of(const Vendor& vendor, const ConvShape& shape, ConvPass pass) {
  const std::optional<ConvTiles> cut = ConvTiles::of(shape, pass, vendor.options.precision);
  if (!cut) return std::nullopt;
  if (vendor.options.is_deterministic) return cut->is_short() ? cut : std::nullopt;
  auto found = std::ranges::find_if(known_, [&](const Known& at) { return at.shape == shape && at.pass == pass; });
  if (found == known_.end()) {
    known_.push_back({shape, pass, is_faster_in_tiles(vendor, shape, pass, *cut)});
    found = known_.end() - 1;
  }
  return found->is_in_tiles ? cut : std::nullopt;
}

}  // namespace deq::cuda
