#include "core/cpu/amx_conv.h"

#include <omp.h>

#include <algorithm>
#include <array>
#include <utility>

#include "core/cpu/bfloat16_rows.h"
#include "core/cpu/turned_conv.h"

namespace deq::cpu {

namespace {

constexpr std::int64_t kMostWeights = (512 << 10) / sizeof(Bfloat16);
constexpr std::int64_t kFewestChannels = 8;
constexpr std::int64_t kBandElements = (16 << 10) / sizeof(Bfloat16);
constexpr std::int64_t kRightElements = kTileDepth * kTileColumns;

std::int64_t rounded_up(std::int64_t n, std::int64_t step) { return (n + step - 1) / step * step; }

/// Channels of a pixel, up to whole steps where that takes no more steps than the channels of a row of taps on end.
std::int64_t pitch_of(const ConvShape& shape) {
  const std::int64_t whole = rounded_up(shape.in_channels, kTileDepth);
  const bool is_as_short = shape.kernel_w * whole <= rounded_up(shape.kernel_w * shape.in_channels, kTileDepth);
  return is_as_short ? whole : shape.in_channels;
}

/// A sample at a time; a part of it where there are fewer samples than threads, or where parts read no row twice, so
/// that their rounded pixels stay in the first-level cache.
std::int64_t rows_of_band(const ConvShape& shape, std::int64_t row_elements, std::int64_t threads) {
  const std::int64_t parts = (threads + shape.batch - 1) / shape.batch;
  const std::int64_t rows = (shape.out_height() + parts - 1) / parts;
  if (shape.kernel_h > shape.conv.stride) return rows;
  return std::clamp<std::int64_t>(kBandElements / (row_elements * shape.conv.stride), 1, rows);
}

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
      pitch_(pitch_of(shape_)),
      row_steps_(rounded_up(shape_.kernel_w * pitch_, kTileDepth) / kTileDepth),
      threads_(omp_get_max_threads()),
      band_rows_(rows_of_band(shape_, row_elements(), threads_)) {
  for (std::int64_t y = 0; y < shape_.kernel_h; ++y)
    for (std::int64_t step = 0; step < row_steps_; ++step) offsets_.push_back(y * row_elements() + step * kTileDepth);
}

std::size_t AmxConv::packed_bytes() const {
  const std::int64_t tiles = rounded_up(shape_.out_channels, kTileColumns) / kTileColumns;
  return static_cast<std::size_t>(tiles) * offsets_.size() * kRightElements * sizeof(Bfloat16);
}

std::size_t AmxConv::sample_scratch_bytes() const {
  const std::int64_t elements = padded_rows(band_rows_) * row_elements() + kTileDepth;
  return rounded_up(elements * static_cast<std::int64_t>(sizeof(Bfloat16)), 64);
}

std::size_t AmxConv::workspace_bytes() const { return static_cast<std::size_t>(threads_) * sample_scratch_bytes(); }

void AmxConv::pack(const float* weight, void* packed) const {
  const std::int64_t taps = shape_.kernel_h * shape_.kernel_w, channels = shape_.in_channels;
  auto* to = static_cast<Bfloat16*>(packed);
  for (std::int64_t first = 0; first < shape_.out_channels; first += kTileColumns)
    for (std::int64_t step = 0; step < static_cast<std::int64_t>(offsets_.size()); ++step)
      for (std::int64_t element = 0; element < kRightElements; ++element, ++to) {
        const std::int64_t out = first + element / 2 % kTileColumns;
        const std::int64_t depth = element / (2 * kTileColumns) * 2 + element % 2;
        const std::int64_t in_row = step % row_steps_ * kTileDepth + depth;  // of a row of taps
        const std::int64_t tap = step / row_steps_ * shape_.kernel_w + in_row / pitch_, channel = in_row % pitch_;
        const bool is_weight = out < shape_.out_channels && in_row < shape_.kernel_w * pitch_ && channel < channels;
        if (!is_weight) {
          *to = {};
          continue;
        }
        const std::int64_t at = is_input_grad_ ? (channel * shape_.out_channels + out) * taps + taps - 1 - tap
                                               : (out * channels + channel) * taps + tap;
        round_rows(weight + at, 1, 1, to, 1);
      }
}

/// The rows of the padded image that a band reads.
void AmxConv::pad_rows(const float* image, Band band, Bfloat16* padded) const {
  const std::int64_t pad = shape_.conv.pad, channels = shape_.in_channels, width = shape_.width;
  const std::int64_t top = band.first * shape_.conv.stride - pad, rows = padded_rows(band.last - band.first);
  for (std::int64_t y = top; y < top + rows; ++y) {
    if (y < 0 || y >= shape_.height) {
      padded = std::fill_n(padded, row_elements(), Bfloat16{});
      continue;
    }
    const float* from = image + y * width * channels;
    padded = std::fill_n(padded, pad * pitch_, Bfloat16{});
    if (pitch_ == channels)
      round_rows(from, 1, width * channels, padded, width * channels);
    else
      round_rows(from, width, channels, padded, pitch_);
    padded = std::fill_n(padded + width * pitch_, pad * pitch_, Bfloat16{});
  }
  std::fill_n(padded, kTileDepth, Bfloat16{});  // the last step of a row of taps may reach beyond it, times zero
}

void AmxConv::multiply(const Bfloat16* padded, const Bfloat16* packed, Band band, const Part& part, float* to) const {
  const std::int64_t stride = shape_.conv.stride, steps = static_cast<std::int64_t>(offsets_.size());
  const std::int64_t wide = (part.pixels + kTileRows - 1) / kTileRows, blocks = (band.last - band.first) * wide;
  AmxTiles tiles(std::min(part.pixels, kTileRows), std::min(part.channels, kTileColumns));
  // All channels of some pixels before the next: a line that is written at two times takes two turns of the cache.
  for (std::int64_t block = 0; block < blocks; block += kTileBlocks) {
    std::array<const Bfloat16*, kTileBlocks> left{};
    std::array<float*, kTileBlocks> sums{};
    const std::int64_t count = std::min(kTileBlocks, blocks - block);
    for (std::int64_t i = 0; i < count; ++i) {
      const std::int64_t y = (block + i) / wide, x = part.first_pixel + (block + i) % wide * kTileRows;
      left[i] = padded + y * stride * row_elements() + x * stride * pitch_;
      sums[i] = to + ((band.first + y) * shape_.out_width() + x) * shape_.out_channels + part.first_channel;
    }
    for (std::int64_t channel = 0; channel < part.channels; channel += kTileColumns) {
      const Bfloat16* right = packed + (part.first_channel + channel) / kTileColumns * steps * kRightElements;
      tiles.multiply(count, steps, {left.data(), stride * pitch_, offsets_.data()}, right,
                     {sums.data(), shape_.out_channels});
      for (float*& sum : sums) sum += kTileColumns;
    }
  }
}

void AmxConv::run_band(const float* from, const void* packed, std::int64_t band, float* to, void* scratch) const {
  const Band rows{band * band_rows_, std::min((band + 1) * band_rows_, shape_.out_height())};
  auto* padded = static_cast<Bfloat16*>(scratch);
  pad_rows(from, rows, padded);
  const std::int64_t pixels = shape_.out_width() / kTileRows * kTileRows;
  const std::int64_t channels = shape_.out_channels / kTileColumns * kTileColumns;
  // Tiles of one size at a time: whole ones, then what is left.
  for (const auto& [first_pixel, last_pixel] : {std::pair{std::int64_t{0}, pixels}, {pixels, shape_.out_width()}})
    for (const auto& [first, last] : {std::pair{std::int64_t{0}, channels}, {channels, shape_.out_channels}})
      if (first_pixel < last_pixel && first < last)
        multiply(padded, static_cast<const Bfloat16*>(packed), rows,
                 {first_pixel, last_pixel - first_pixel, first, last - first}, to);
}

void AmxConv::run(const float* from, const void* packed, float* to, void* workspace) const {
  const std::int64_t in = shape_.image().elements() / shape_.batch, out = shape_.result().elements() / shape_.batch;
#pragma omp parallel for schedule(static) num_threads(static_cast <int>(threads_))
  for (std::int64_t part = 0; part < shape_.batch * bands(); ++part) {
    const std::int64_t sample = part / bands(), band = part % bands();
    std::byte* scratch =
        static_cast<std::byte*>(workspace) + static_cast<std::size_t>(omp_get_thread_num()) * sample_scratch_bytes();
    run_band(from + sample * in, packed, band, to + sample * out, scratch);
  }
}

void AmxConv::run_sample(const float* from, const void* packed, float* to, void* scratch) const {
  for (std::int64_t band = 0; band < bands(); ++band) run_band(from, packed, band, to, scratch);
}

}  // namespace deq::cpu
