#include "core/cpu/winograd_weight.h"

#include <omp.h>

#include <algorithm>

#include "core/cpu/parallel.h"
#include "core/cpu/rounded_up.h"
#include "core/cpu/winograd_tile.h"

namespace deq::cpu {

using namespace winograd;

namespace {

constexpr std::int64_t kBlockFloats = (1 << 20) / 4;      // transformed operands of a block
constexpr std::int64_t kSumFloats = (256 << 10) / 4;      // sums of a thread where threads share the output channels
constexpr std::int64_t kFewWeightFloats = (4 << 20) / 4;  // sums that a thread keeps for itself
constexpr std::int64_t kWidePart = 16;                    // channels of the widest transform
constexpr std::int64_t kSkew = 16;                        // keeps the 36 points from falling into one set of a cache

}  // namespace

WinogradWeightGrad::WinogradWeightGrad(const ConvShape& shape)
    : shape_(shape),
      tiles_high_((shape.out_height() + kTile - 1) / kTile),
      tiles_wide_((shape.out_width() + kTile - 1) / kTile),
      tiles_(shape.batch * tiles_high_ * tiles_wide_),
      depth_(rounded_up(shape.in_channels, kLanes)),
      columns_(shape.out_channels),
      width_(columns_.padded()),
      threads_(threads_for_products(shape.multiply_adds())),
      shares_columns_(kPoints * depth_ * width_ > kFewWeightFloats) {
  const std::int64_t fitting = std::max<std::int64_t>(kPanelRows, kBlockFloats / (kPoints * (depth_ + width_)));
  const std::int64_t summed = kSumFloats / (kPoints * columns_.widest());
  channels_ = std::min(depth_, std::max<std::int64_t>(summed / kWidePart * kWidePart, kWidePart));
  block_ = shares_columns_ ? tiles_ : std::min(fitting, (tiles_ + threads_ - 1) / threads_);
}

std::int64_t WinogradWeightGrad::input_stride() const { return parts() * channels_ * block_ + kSkew; }
std::int64_t WinogradWeightGrad::gradient_stride() const { return block_ * width_ + kSkew; }
std::int64_t WinogradWeightGrad::input_floats() const { return kPoints * input_stride(); }
std::int64_t WinogradWeightGrad::gradient_floats() const { return kPoints * gradient_stride(); }
std::int64_t WinogradWeightGrad::zero_floats() const { return rounded_up(std::max(depth_, width_), kSkew); }

std::int64_t WinogradWeightGrad::thread_floats() const {
  return shares_columns_ ? kPoints * channels_ * columns_.widest()
                         : rounded_up(input_floats() + gradient_floats() + kPoints * depth_ * width_, kSkew);
}

std::size_t WinogradWeightGrad::workspace_bytes() const {
  const std::int64_t shared = zero_floats() + (shares_columns_ ? input_floats() + gradient_floats() : 0);
  return static_cast<std::size_t>(shared + threads_ * thread_floats()) * sizeof(float);
}

WinogradWeightGrad::Corner WinogradWeightGrad::corner_of(std::int64_t tile) const {
  return {tile / (tiles_wide_ * tiles_high_), tile / tiles_wide_ % tiles_high_ * kTile, tile % tiles_wide_ * kTile};
}

/// to[point][part of channels][place + tile - first][channel].
void WinogradWeightGrad::transform_inputs(const float* x, const float* zeros, Span tiles, std::int64_t place,
                                          float* to) const {
  const std::int64_t stride = input_stride(), channels = shape_.in_channels;
  for (std::int64_t tile = tiles.first; tile < tiles.last; ++tile, ++place) {
    const Corner at = corner_of(tile);
    const float* pixel[kPoints];
    for (std::int64_t i = 0; i < kPatch; ++i)
      for (std::int64_t j = 0; j < kPatch; ++j) {
        const std::int64_t row = at.y + i - shape_.conv.pad, column = at.x + j - shape_.conv.pad;
        const bool is_inside = row >= 0 && row < shape_.height && column >= 0 && column < shape_.width;
        pixel[i * kPatch + j] =
            is_inside ? x + ((at.sample * shape_.height + row) * shape_.width + column) * channels : zeros;
      }
    prefetch_right(pixel, kPatch, channels);
    const auto at_channel = [&](std::int64_t c) {
      return to + (c / channels_ * block_ + place) * channels_ + c % channels_;
    };
    std::int64_t c = 0;
    if constexpr (kRegisterFloats == kWidePart)
      for (; c + kWidePart <= channels; c += kWidePart)
        transform_patch<kWidePart, false>(pixel, c, kWidePart, at_channel(c), stride);
    for (; c + kLanes <= channels; c += kLanes) transform_patch<kLanes, false>(pixel, c, kLanes, at_channel(c), stride);
    if (c < channels) transform_patch<kLanes, true>(pixel, c, channels - c, at_channel(c), stride);
  }
}

/// to[point][block of columns][place + tile - first][output channel].
void WinogradWeightGrad::transform_gradients(const float* g, const float* zeros, Span tiles, std::int64_t place,
                                             float* to) const {
  const std::int64_t stride = gradient_stride(), channels = shape_.out_channels;
  const std::int64_t height = shape_.out_height(), width = shape_.out_width();
  for (std::int64_t tile = tiles.first; tile < tiles.last; ++tile, ++place) {
    const Corner at = corner_of(tile);
    const float* pixel[kTile * kTile];
    for (std::int64_t i = 0; i < kTile; ++i)
      for (std::int64_t j = 0; j < kTile; ++j) {
        const bool is_inside = at.y + i < height && at.x + j < width;
        pixel[i * kTile + j] = is_inside ? g + ((at.sample * height + at.y + i) * width + at.x + j) * channels : zeros;
      }
    prefetch_right(pixel, kTile, channels);
    for (std::int64_t block = 0; block < columns_.count(); ++block) {
      const std::int64_t first = columns_.first(block), width_of_block = columns_.width(block);
      float* const row = to + first * block_ + place * width_of_block;
      const std::int64_t last = std::min(channels, first + width_of_block);
      std::int64_t c = first;
      for (; c + kLanes <= last; c += kLanes)
        transform_result<kLanes, false>(pixel, c, kLanes, row + c - first, stride);
      if (c < last) transform_result<kLanes, true>(pixel, c, last - c, row + c - first, stride);
    }
  }
}

/// to [kPanelRows, columns of the block] = or += the products of one point.
void WinogradWeightGrad::multiply(const float* inputs, const float* gradients, const Panel& of, float* to,
                                  std::int64_t to_stride, bool adds) const {
  const std::int64_t width = columns_.width(of.block);
  const float* a = inputs + of.point * input_stride() + of.channel / channels_ * block_ * channels_;
  const float* b = gradients + of.point * gradient_stride() + columns_.first(of.block) * block_;
  multiply_transposed(width, of.tiles, a + of.channel % channels_, b, to, {channels_, width, to_stride}, adds);
}

/// sums[point][channel][column] += inputs^T gradients over a block of tiles.
void WinogradWeightGrad::add_products(const float* inputs, const float* gradients, std::int64_t tiles, bool is_first,
                                      float* sums) const {
  for (std::int64_t point = 0; point < kPoints; ++point)
    for (std::int64_t block = 0; block < columns_.count(); ++block)
      for (std::int64_t channel = 0; channel < depth_; channel += kPanelRows)
        multiply(inputs, gradients, {point, channel, block, tiles},
                 sums + (point * depth_ + channel) * width_ + columns_.first(block), width_, !is_first);
}

/// Weights of kPanelRows input channels and a block of output channels from sums[point][row][column].
void WinogradWeightGrad::write_weights(const float* sums, std::int64_t row_stride, std::int64_t channel,
                                       std::int64_t block, float* dw) const {
  const std::int64_t point_stride = shares_columns_ ? channels_ * columns_.widest() : depth_ * width_;
  const std::int64_t column = columns_.first(block);
  for (std::int64_t row = 0; row < kPanelRows && channel + row < shape_.in_channels; ++row)
    for (std::int64_t c = 0; c < columns_.width(block) && column + c < shape_.out_channels; c += kLanes) {
      float taps[9][kLanes];
      gather_taps(sums + row * row_stride + c, point_stride, taps);
      const std::int64_t count = std::min<std::int64_t>(kLanes, shape_.out_channels - column - c);
      for (std::int64_t i = 0; i < count; ++i)
        for (std::int64_t tap = 0; tap < 9; ++tap)
          dw[((column + c + i) * shape_.in_channels + channel + row) * 9 + tap] = taps[tap][i];
    }
}

void WinogradWeightGrad::run_tiles(const float* x, const float* g, float* dw, float* scratch) const {
  const float* zeros = scratch;
  float* own = scratch + zero_floats();
  const std::int64_t before = input_floats() + gradient_floats(), all = kPoints * depth_ * width_;
  const std::int64_t blocks = (tiles_ + block_ - 1) / block_;
  std::int64_t team = 1;
  on_team(threads_, [&] {
    float *inputs = own + omp_get_thread_num() * thread_floats(), *gradients = inputs + input_floats();
    float* sums = inputs + before;
    bool is_first = true;
#pragma omp single
    team = omp_get_num_threads();
#pragma omp for schedule(static)
    for (std::int64_t i = 0; i < blocks; ++i) {
      const Span tiles{i * block_, std::min((i + 1) * block_, tiles_)};
      transform_inputs(x, zeros, tiles, 0, inputs);
      transform_gradients(g, zeros, tiles, 0, gradients);
      add_products(inputs, gradients, tiles.last - tiles.first, is_first, sums);
      is_first = false;
    }
    if (is_first) std::fill_n(sums, all, 0.0F);
#pragma omp barrier
#pragma omp for schedule(static)
    for (std::int64_t i = 0; i < kPoints * depth_; ++i)
      for (std::int64_t thread = 1; thread < team; ++thread) {
        const float* from = own + thread * thread_floats() + before + i * width_;
        float* to = own + before + i * width_;
#pragma omp simd
        for (std::int64_t c = 0; c < width_; ++c) to[c] += from[c];
      }
#pragma omp for schedule(static)
    for (std::int64_t channel = 0; channel < depth_; channel += kPanelRows)
      for (std::int64_t block = 0; block < columns_.count(); ++block)
        write_weights(own + before + channel * width_ + columns_.first(block), width_, channel, block, dw);
  });
}

void WinogradWeightGrad::run_columns(const float* x, const float* g, float* dw, float* scratch) const {
  const float* zeros = scratch;
  float *inputs = scratch + zero_floats(), *gradients = inputs + input_floats(), *own = gradients + gradient_floats();
  on_team(threads_, [&] {
#pragma omp for schedule(static)
    for (std::int64_t tile = 0; tile < tiles_; ++tile) {
      transform_inputs(x, zeros, {tile, tile + 1}, tile, inputs);
      transform_gradients(g, zeros, {tile, tile + 1}, tile, gradients);
    }
    float* sums = own + omp_get_thread_num() * thread_floats();
    // What is next to one another reads the same part of the larger operand.
    const std::int64_t blocks = columns_.count();
#pragma omp for schedule(static)
    for (std::int64_t i = 0; i < parts() * blocks; ++i) {
      const std::int64_t part = depth_ > width_ ? i / blocks : i % parts();
      const std::int64_t block = depth_ > width_ ? i % blocks : i / parts();
      const Span channels{part * channels_, std::min((part + 1) * channels_, depth_)};
      run_channels(inputs, gradients, channels, block, sums, dw);
    }
  });
}

/// The weights of some input channels and a block of output channels. Point by point, so that the gradients of a point
/// stay in the first-level cache.
void WinogradWeightGrad::run_channels(const float* inputs, const float* gradients, Span channels, std::int64_t block,
                                      float* sums, float* dw) const {
  const std::int64_t widest = columns_.widest();
  for (std::int64_t point = 0; point < kPoints; ++point)
    for (std::int64_t channel = channels.first; channel < channels.last; channel += kPanelRows)
      multiply(inputs, gradients, {point, channel, block, tiles_},
               sums + (point * channels_ + channel - channels.first) * widest, widest, false);
  for (std::int64_t channel = channels.first; channel < channels.last; channel += kPanelRows)
    write_weights(sums + (channel - channels.first) * widest, widest, channel, block, dw);
}

void WinogradWeightGrad::run(const float* x, const float* g, float* dw, void* workspace) const {
  auto* scratch = static_cast<float*>(workspace);
  std::fill_n(scratch, zero_floats(), 0.0F);
  return shares_columns_ ? run_columns(x, g, dw, scratch) : run_tiles(x, g, dw, scratch);
}

}  // namespace deq::cpu
