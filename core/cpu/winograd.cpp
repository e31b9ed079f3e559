#include "core/cpu/winograd.h"

#include <omp.h>

#include <algorithm>

#include "core/cpu/parallel.h"
#include "core/cpu/rounded_up.h"
#include "core/cpu/winograd_tile.h"

namespace deq::cpu {

using namespace winograd;

namespace {

constexpr std::int64_t kBlockFloats = (384 << 10) / 4;       // inputs and products of a block
constexpr std::int64_t kCachedWeightFloats = (4 << 20) / 4;  // more than this is better read once
constexpr std::int64_t kSkew = 16;                           // keeps the 36 points from falling into one set of a cache

}  // namespace

bool WinogradConv::fits(const ConvShape& shape) {
  return shape.kernel_h == 3 && shape.kernel_w == 3 && shape.conv.stride == 1 && shape.conv.groups == 1 &&
         shape.conv.pad <= 2 && shape.batch > 0 && shape.out_height() > 0 && shape.out_width() > 0;
}

WinogradConv::WinogradConv(const ConvShape& shape, bool is_input_grad)
    : is_input_grad_(is_input_grad),
      batch_(shape.batch),
      height_(is_input_grad ? shape.out_height() : shape.height),
      width_(is_input_grad ? shape.out_width() : shape.width),
      channels_(is_input_grad ? shape.out_channels : shape.in_channels),
      out_height_(is_input_grad ? shape.height : shape.out_height()),
      out_width_(is_input_grad ? shape.width : shape.out_width()),
      out_channels_(is_input_grad ? shape.in_channels : shape.out_channels),
      pad_(is_input_grad ? 2 - shape.conv.pad : shape.conv.pad),
      tiles_high_((out_height_ + kTile - 1) / kTile),
      tiles_wide_((out_width_ + kTile - 1) / kTile),
      tiles_(batch_ * tiles_high_ * tiles_wide_),
      depth_(rounded_up(channels_, kLanes)),
      columns_(out_channels_),
      threads_(threads_for_products(shape.multiply_adds())),
      shares_columns_(kPoints * depth_ * columns_.padded() > kCachedWeightFloats) {
  const std::int64_t fitting =
      std::max<std::int64_t>(kPanelRows, kBlockFloats / (kPoints * (depth_ + columns_.widest())));
  const std::int64_t blocks = rounded_up((tiles_ + fitting - 1) / fitting, threads_);
  block_ = rounded_up(shares_columns_ ? tiles_ : (tiles_ + blocks - 1) / blocks, kRowStep);
}

std::int64_t WinogradConv::image_stride() const { return block_ * depth_ + kSkew; }
std::int64_t WinogradConv::product_stride() const { return block_ * columns_.widest() + kSkew; }

std::int64_t WinogradConv::scratch_floats() const {
  return rounded_up(depth_ + kPoints * (image_stride() + product_stride()), kSkew);
}

std::size_t WinogradConv::packed_bytes() const {
  return static_cast<std::size_t>(kPoints * depth_ * columns_.padded()) * sizeof(float);
}

std::size_t WinogradConv::workspace_bytes() const {
  const std::int64_t floats =
      shares_columns_ ? scratch_floats() + (threads_ - 1) * kPoints * product_stride() : threads_ * scratch_floats();
  return static_cast<std::size_t>(floats) * sizeof(float);
}

std::size_t WinogradConv::sample_scratch_bytes() const {
  return static_cast<std::size_t>(scratch_floats()) * sizeof(float);
}

void WinogradConv::pack(const float* weight, float* packed) const {
  parallel_for(columns_.count() * depth_, kPoints * depth_ * out_channels_, [&](std::int64_t i) {
    const std::int64_t block = i / depth_, k = i % depth_, first = columns_.first(block), width = columns_.width(block);
    Taps taps{};
    const std::int64_t count = k < channels_ ? std::min(width, out_channels_ - first) : 0;
    for (std::int64_t c = 0; c < count; ++c) {
      // Forward reads w[c][k], the input gradient w[k][c] turned by half a turn.
      const float* w = weight + (is_input_grad_ ? k * out_channels_ + first + c : (first + c) * channels_ + k) * 9;
      for (std::size_t tap = 0; tap < 9; ++tap)
        taps[is_input_grad_ ? 8 - tap : tap][static_cast<std::size_t>(c)] = w[tap];
    }
    float* to = packed + kPoints * depth_ * first + k * width;
    for (std::int64_t c = 0; c < width; c += kLanes) transform_taps(taps, c, to + c, depth_ * width);
  });
}

/// Where the 36 inputs of a tile lie: a pixel's channels, or zeros outside the image.
struct WinogradConv::Patch {
  const float* pixel[kPoints];
};

WinogradConv::Patch WinogradConv::patch_of(const float* from, const float* zeros, std::int64_t tile) const {
  const std::int64_t sample = tile / (tiles_wide_ * tiles_high_);
  const std::int64_t y = tile / tiles_wide_ % tiles_high_ * kTile - pad_, x = tile % tiles_wide_ * kTile - pad_;
  Patch patch;
  for (std::int64_t i = 0; i < kPatch; ++i)
    for (std::int64_t j = 0; j < kPatch; ++j) {
      const bool is_inside = y + i >= 0 && y + i < height_ && x + j >= 0 && x + j < width_;
      patch.pixel[i * kPatch + j] =
          is_inside ? from + ((sample * height_ + y + i) * width_ + x + j) * channels_ : zeros;
    }
  return patch;
}

/// Fills image[point][tile - first][channel].
void WinogradConv::transform_inputs(const float* from, const float* zeros, Span tiles, float* image) const {
  const std::int64_t stride = image_stride();
  for (std::int64_t tile = tiles.first; tile < tiles.last; ++tile) {
    const Patch patch = patch_of(from, zeros, tile);
    prefetch_right(patch.pixel, kPatch, channels_);
    float* to = image + (tile - tiles.first) * depth_;
    std::int64_t c = 0;
    if constexpr (kRegisterFloats == 16)
      for (; c + 16 <= channels_; c += 16) transform_patch<16, false>(patch.pixel, c, 16, to + c, stride);
    for (; c + kLanes <= channels_; c += kLanes) transform_patch<kLanes, false>(patch.pixel, c, kLanes, to + c, stride);
    if (c < channels_) transform_patch<kLanes, true>(patch.pixel, c, channels_ - c, to + c, stride);
  }
}

/// products[point][tile][column] of one block of columns.
void WinogradConv::multiply(const float* image, std::int64_t tiles, const float* packed, std::int64_t block,
                            float* products) const {
  const std::int64_t rows = rounded_up(tiles, kRowStep), width = columns_.width(block);
  const float* weights = packed + kPoints * depth_ * columns_.first(block);
  for (std::int64_t point = 0; point < kPoints; ++point)
    multiply_block(width, rows, image + point * image_stride(), weights + point * depth_ * width, depth_,
                   products + point * product_stride(), {depth_, width});
}

void WinogradConv::transform_outputs(const float* products, Span tiles, std::int64_t block, float* to) const {
  const std::int64_t stride = product_stride(), column = columns_.first(block), width = columns_.width(block);
  const std::int64_t count = std::min(width, out_channels_ - column);
  const Strides strides{out_width_ * out_channels_, out_channels_};
  for (std::int64_t tile = tiles.first; tile < tiles.last; ++tile) {
    const std::int64_t sample = tile / (tiles_wide_ * tiles_high_);
    const std::int64_t y = tile / tiles_wide_ % tiles_high_ * kTile, x = tile % tiles_wide_ * kTile;
    const Extent extent{std::min<std::int64_t>(kTile, out_height_ - y), std::min<std::int64_t>(kTile, out_width_ - x)};
    const float* from = products + (tile - tiles.first) * width;
    float* at = to + ((sample * out_height_ + y) * out_width_ + x) * out_channels_ + column;
    std::int64_t c = 0;
    if constexpr (kRegisterFloats == 16)
      for (; c + 16 <= count; c += 16) untransform_tile<16, false>(from + c, stride, at + c, strides, extent, 16);
    for (; c + kLanes <= count; c += kLanes)
      untransform_tile<kLanes, false>(from + c, stride, at + c, strides, extent, kLanes);
    if (c < count) untransform_tile<kLanes, true>(from + c, stride, at + c, strides, extent, count - c);
  }
}

/// At most a block of tiles, on the calling thread.
void WinogradConv::run_tiles(const float* from, const float* packed, float* to, Span tiles, float* scratch) const {
  float *zeros = scratch, *image = zeros + depth_, *products = image + kPoints * image_stride();
  std::fill_n(zeros, depth_, 0.0F);
  transform_inputs(from, zeros, tiles, image);
  for (std::int64_t i = 0; i < columns_.count(); ++i) {
    multiply(image, tiles.last - tiles.first, packed, i, products);
    transform_outputs(products, tiles, i, to);
  }
}

void WinogradConv::run_columns(const float* from, const float* packed, float* to, float* scratch) const {
  float *zeros = scratch, *image = zeros + depth_, *products = image + kPoints * image_stride();
  std::fill_n(zeros, depth_, 0.0F);
  on_team(threads_, [&] {
#pragma omp for schedule(static)
    for (std::int64_t tile = 0; tile < tiles_; ++tile)
      transform_inputs(from, zeros, {tile, tile + 1}, image + tile * depth_);
    float* own = products + omp_get_thread_num() * kPoints * product_stride();
#pragma omp for schedule(static)
    for (std::int64_t i = 0; i < columns_.count(); ++i) {
      multiply(image, tiles_, packed, i, own);
      transform_outputs(own, {0, tiles_}, i, to);
    }
  });
}

void WinogradConv::run(const float* from, const float* packed, float* to, void* workspace) const {
  auto* scratch = static_cast<float*>(workspace);
  if (shares_columns_) return run_columns(from, packed, to, scratch);
  const std::int64_t blocks = (tiles_ + block_ - 1) / block_;
  on_team(threads_, [&] {
    float* own = scratch + omp_get_thread_num() * scratch_floats();
#pragma omp for schedule(static)
    for (std::int64_t i = 0; i < blocks; ++i)
      run_tiles(from, packed, to, {i * block_, std::min((i + 1) * block_, tiles_)}, own);
  });
}

void WinogradConv::run_sample(const float* from, const float* packed, float* to, void* scratch) const {
  const std::int64_t tiles = tiles_high_ * tiles_wide_, blocks = (tiles + block_ - 1) / block_;
  const std::int64_t step = rounded_up((tiles + blocks - 1) / blocks, kRowStep);
  for (std::int64_t tile = 0; tile < tiles; tile += step)
    run_tiles(from, packed, to, {tile, std::min(tile + step, tiles)}, static_cast<float*>(scratch));
}

}  // namespace deq::cpu
