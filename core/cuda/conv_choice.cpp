#include "core/cuda/conv_choice.h"

#include <algorithm>

#include "core/cuda/check.h"
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

  /// Shortest of several runs, in milliseconds, after one to warm up.
  template <class Work>
  float best(const Work& work) {
    constexpr int kRuns = 5;
    work();
    float shortest = 0;
    for (int run = 0; run < kRuns; ++run) {
      check_cuda(cudaEventRecord(start_, stream_), "cudaEventRecord");
      work();
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

bool is_faster_in_tiles(const Vendor& vendor, const ConvShape& shape, ConvPass pass, const ConvTiles& cut) {
  const bool is_forward = pass == ConvPass::forward;
  const ConvDirection direction = is_forward ? ConvDirection::forward : ConvDirection::input_grad;
  const std::unique_ptr<Kernel> library = library_conv_on(vendor, direction, shape, /*is_packed=*/true);
  if (library == nullptr) return true;
  const auto floats = [&](std::int64_t n) {
    return vendor.stream.allocate(static_cast<std::size_t>(n) * sizeof(float));
  };
  const AlignedBytes image = floats(shape.image().elements()), result = floats(shape.result().elements());
  const AlignedBytes weight = floats(std::max(shape.weight().elements(), cut.packed_words()));
  const AlignedBytes scratch = vendor.stream.allocate(std::max<std::size_t>(library->workspace_bytes(), 1));
  const std::unique_ptr<Kernel> own = tile_conv_on(vendor.stream, cut, /*is_packed=*/true);
  const void* const in[] = {is_forward ? image.get() : result.get(), weight.get()};
  void* const out[] = {is_forward ? result.get() : image.get()};
  own->bind(in, out, nullptr);
  library->bind(in, out, scratch.get());
  Stopwatch watch(vendor.stream);
  const float in_tiles = watch.best([&] { own->run(); });
  return in_tiles < watch.best([&] { library->run(); });
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
