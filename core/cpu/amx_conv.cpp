#include "core/cpu/amx_conv.h"

#include <omp.h>

#include "core/cpu/bfloat16_rows.h"
#include "core/cpu/parallel.h"
#include "core/cpu/rounded_up.h"
#include "core/cpu/turned_conv.h"

namespace deq::cpu {

namespace {

constexpr std::int64_t kMostWeights = (512 << 10) / sizeof(Bfloat16);
constexpr std::int64_t kFewestChannels = 8;
constexpr std::int64_t kBandElements = (16 << 10) / sizeof(Bfloat16);
constexpr std::int64_t kRightElements = kTileDepth * kTileColumns;

/// Pixels as long as whole steps where that takes no more steps than the channels of a row of taps on end.
PaddedImage padded_image(const ConvShape& shape) {
  const std::int64_t whole = rounded_up(shape.in_channels, kTileDepth);
  const bool is_as_short = shape.kernel_w * whole <= rounded_up(shape.kernel_w * shape.in_channels, kTileDepth);
  return {.height = shape.height,
          .width = shape.width,
          .channels = shape.in_channels,
          .pad = shape.conv.pad,
          .pitch = is_as_short ? whole : shape.in_channels};
}

/// A sample at a time; a part of it where there are fewer samples than threads, or where parts read no row twice, so
/// that their rounded pixels stay in the first-level cache.
std::int64_t rows_of_band(const ConvShape& shape, std::int64_t row_elements, std::int64_t threads) {
  const std::int64_t parts = (threads + shape.batch - 1) / shape.batch;
  const std::int64_t rows = (shape.out_height() + parts - 1) / parts;
  if (shape.kernel_h > shape.conv.stride) return rows;
  return std::clamp<std::int64_t>(kBandElements / (row_elements * shape.conv.stride), 1, rows);
}

/// Sums go to y [H',W',Cout] of a sample.
class ResultSink {
 public:
  static constexpr bool kHoldsWholeTiles = false;
  ResultSink(const ConvShape& shape, float* y) : width_(shape.out_width()), channels_(shape.out_channels), y_(y) {}

  AmxTiles::Sums sums(const AmxConv::PixelGroup& group, std::int64_t channel) {
    for (std::int64_t i = 0; i < group.count; ++i)
      blocks_[i] = y_ + (group.y[i] * width_ + group.x[i]) * channels_ + channel;
    return {blocks_.data(), channels_};
  }
  void take(const AmxConv::PixelGroup&, std::int64_t) {}

 private:
  std::int64_t width_, channels_;
  float* y_;
  std::array<float*, kTileBlocks> blocks_{};
};

}  // namespace

bool AmxConv::fits(const ConvShape& shape, bool is_input_grad) {
  return has_amx() && shape.conv.groups == 1 && shape.in_channels >= kFewestChannels &&
         shape.out_channels >= kFewestChannels && shape.weight().elements() <= kMostWeights &&
         shape.image().elements() > 0 && shape.out_height() > 0 && shape.out_width() > 0 &&
         (!is_input_grad || can_turn(shape));
}

AmxConv::AmxConv(const ConvShape& shape, bool is_input_grad)
    : is_input_grad_(is_input_grad),
      shape_(is_input_grad ? turned(shape) : shape),
      image_(padded_image(shape_)),
      row_steps_(rounded_up(shape_.kernel_w * image_.pitch, kTileDepth) / kTileDepth),
      threads_(threads_for_products(shape_.multiply_adds())),
      band_rows_(rows_of_band(shape_, image_.row_elements(), threads_)) {
  for (std::int64_t y = 0; y < shape_.kernel_h; ++y)
    for (std::int64_t step = 0; step < row_steps_; ++step)
      offsets_.push_back(y * image_.row_elements() + step * kTileDepth);
}

std::size_t AmxConv::packed_bytes() const {
  const std::int64_t tiles = rounded_up(shape_.out_channels, kTileColumns) / kTileColumns;
  return static_cast<std::size_t>(tiles * steps() * kRightElements) * sizeof(Bfloat16);
}

std::size_t AmxConv::sample_scratch_bytes() const {
  const std::size_t bytes = static_cast<std::size_t>(image_.elements(rows_read(band_rows_))) * sizeof(Bfloat16);
  return (bytes + 63) / 64 * 64;
}

std::size_t AmxConv::workspace_bytes() const { return static_cast<std::size_t>(threads_) * sample_scratch_bytes(); }

void AmxConv::pack(const float* weight, void* packed) const {
  const std::int64_t taps = shape_.kernel_h * shape_.kernel_w, channels = shape_.in_channels, pitch = image_.pitch;
  auto* to = static_cast<Bfloat16*>(packed);
  for (std::int64_t first = 0; first < shape_.out_channels; first += kTileColumns)
    for (std::int64_t step = 0; step < steps(); ++step)
      for (std::int64_t element = 0; element < kRightElements; ++element, ++to) {
        const std::int64_t out = first + element / 2 % kTileColumns;
        const std::int64_t depth = element / (2 * kTileColumns) * 2 + element % 2;
        const std::int64_t in_row = step % row_steps_ * kTileDepth + depth;  // of a row of taps
        const std::int64_t tap = step / row_steps_ * shape_.kernel_w + in_row / pitch, channel = in_row % pitch;
        *to = {};
        if (out >= shape_.out_channels || in_row >= shape_.kernel_w * pitch || channel >= channels) continue;
        const std::int64_t at = is_input_grad_ ? (channel * shape_.out_channels + out) * taps + taps - 1 - tap
                                               : (out * channels + channel) * taps + tap;
        round_rows(weight + at, 1, 1, to, 1);
      }
}

void AmxConv::multiply(const Bfloat16* padded, const void* packed, Band band, float* y) const {
  ResultSink sink(shape_, y);
  multiply(padded, packed, band, sink);
}

void AmxConv::run_band(const float* from, const void* packed, std::int64_t band, float* to, void* scratch) const {
  const Band rows{band * band_rows_, std::min((band + 1) * band_rows_, shape_.out_height())};
  auto* padded = static_cast<Bfloat16*>(scratch);
  image_.round(from, rows.first * shape_.conv.stride - image_.pad, rows_read(rows.last - rows.first), padded);
  multiply(padded, packed, rows, to);
}

void AmxConv::run(const float* from, const void* packed, float* to, void* workspace) const {
  const std::int64_t in = shape_.image().elements() / shape_.batch, out = shape_.result().elements() / shape_.batch;
  on_team(threads_, [&] {
    std::byte* scratch =
        static_cast<std::byte*>(workspace) + static_cast<std::size_t>(omp_get_thread_num()) * sample_scratch_bytes();
#pragma omp for schedule(static)
    for (std::int64_t part = 0; part < shape_.batch * bands(); ++part) {
      const std::int64_t sample = part / bands(), band = part % bands();
      run_band(from + sample * in, packed, band, to + sample * out, scratch);
    }
  });
}

void AmxConv::run_sample(const float* from, const void* packed, float* to, void* scratch) const {
  for (std::int64_t band = 0; band < bands(); ++band) run_band(from, packed, band, to, scratch);
}

}  // namespace deq::cpu
