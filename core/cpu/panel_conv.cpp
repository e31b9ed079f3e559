#include "core/cpu/panel_conv.h"

#include <omp.h>

#include <algorithm>
#include <utility>

#include "core/cpu/parallel.h"

namespace deq::cpu {

namespace {

constexpr std::int64_t kPixels = 32;  // gathered at a time
constexpr std::int64_t kMostWeightFloats = (512 << 10) / 4;
constexpr std::int64_t kFewestChannels = 8;

bool is_pointwise(const ConvShape& shape) {
  return shape.kernel_h == 1 && shape.kernel_w == 1 && shape.conv.stride == 1 && shape.conv.pad == 0;
}

ConvShape computed_shape(ConvShape shape, bool is_input_grad) {
  if (is_input_grad) std::swap(shape.in_channels, shape.out_channels);
  return shape;
}

}  // namespace

bool PanelConv::fits(const ConvShape& shape, bool is_input_grad) {
  return shape.conv.groups == 1 && shape.in_channels >= kFewestChannels && shape.out_channels >= kFewestChannels &&
         shape.weight().elements() <= kMostWeightFloats && (!is_input_grad || is_pointwise(shape)) &&
         shape.image().elements() > 0 && shape.out_height() > 0 && shape.out_width() > 0;
}

PanelConv::PanelConv(const ConvShape& shape, bool is_input_grad)
    : is_input_grad_(is_input_grad),
      shape_(computed_shape(shape, is_input_grad)),
      depth_(shape_.kernel_h * shape_.kernel_w * shape_.in_channels),
      columns_(shape_.out_channels),
      threads_(threads_for_products(shape_.multiply_adds())),
      is_pointwise_(is_pointwise(shape_)) {}

std::int64_t PanelConv::pixel_blocks() const { return (pixels() + kPixels - 1) / kPixels; }

std::size_t PanelConv::packed_bytes() const {
  return static_cast<std::size_t>(depth_ * columns_.padded()) * sizeof(float);
}

std::size_t PanelConv::sample_scratch_bytes() const {
  return static_cast<std::size_t>(kPixels * (columns_.widest() + (is_pointwise_ ? 0 : depth_))) * sizeof(float);
}

std::size_t PanelConv::workspace_bytes() const { return static_cast<std::size_t>(threads_) * sample_scratch_bytes(); }

void PanelConv::pack(const float* weight, float* packed) const {
  const std::int64_t taps = shape_.kernel_h * shape_.kernel_w;
  for (std::int64_t block = 0; block < columns_.count(); ++block)
    for (std::int64_t k = 0; k < depth_; ++k) {
      const std::int64_t tap = k / shape_.in_channels, channel = k % shape_.in_channels;
      for (std::int64_t column = 0; column < columns_.width(block); ++column) {
        const std::int64_t out = columns_.first(block) + column;
        const std::int64_t at =
            is_input_grad_ ? channel * shape_.out_channels + out : (out * shape_.in_channels + channel) * taps + tap;
        *packed++ = out < shape_.out_channels ? weight[at] : 0.0F;
      }
    }
}

/// Patches of the pixels [pixel, pixel + count) of the result.
void PanelConv::gather(const float* image, std::int64_t pixel, std::int64_t count, float* patches) const {
  const std::int64_t channels = shape_.in_channels;
  for (std::int64_t i = pixel; i < pixel + count; ++i) {
    const std::int64_t top = i / shape_.out_width() * shape_.conv.stride - shape_.conv.pad;
    const std::int64_t left = i % shape_.out_width() * shape_.conv.stride - shape_.conv.pad;
    for (std::int64_t y = top; y < top + shape_.kernel_h; ++y)
      for (std::int64_t x = left; x < left + shape_.kernel_w; ++x, patches += channels) {
        const bool is_inside = y >= 0 && y < shape_.height && x >= 0 && x < shape_.width;
        if (is_inside)
          std::copy_n(image + (y * shape_.width + x) * channels, channels, patches);
        else
          std::fill_n(patches, channels, 0.0F);
      }
  }
}

/// `count` pixels of the result from their patches.
void PanelConv::multiply(const float* patches, std::int64_t count, const float* packed, float* to,
                         float* scratch) const {
  const std::int64_t channels = shape_.out_channels;
  for (std::int64_t block = 0; block < columns_.count(); ++block) {
    const std::int64_t first = columns_.first(block), width = columns_.width(block);
    const std::int64_t used = std::min(width, channels - first);
    const float* b = packed + depth_ * first;
    if (used == width) {
      multiply_block(width, count, patches, b, depth_, to + first, {depth_, channels});
      continue;
    }
    multiply_block(width, count, patches, b, depth_, scratch, {depth_, width});
    for (std::int64_t row = 0; row < count; ++row)
      std::copy_n(scratch + row * width, used, to + row * channels + first);
  }
}

void PanelConv::run_block(const float* from, const float* packed, float* to, std::int64_t block, float* scratch) const {
  const std::int64_t sample = block / pixel_blocks(), pixel = block % pixel_blocks() * kPixels;
  const std::int64_t count = std::min(kPixels, pixels() - pixel);
  const float* image = from + sample * shape_.height * shape_.width * shape_.in_channels;
  float* patches = scratch + kPixels * columns_.widest();
  if (!is_pointwise_) gather(image, pixel, count, patches);
  multiply(is_pointwise_ ? image + pixel * depth_ : patches, count, packed,
           to + (sample * pixels() + pixel) * shape_.out_channels, scratch);
}

void PanelConv::run(const float* from, const float* packed, float* to, void* workspace) const {
  const std::int64_t blocks = shape_.batch * pixel_blocks();
  const std::size_t stride = sample_scratch_bytes() / sizeof(float);
  on_team(threads_, [&] {
    float* scratch = static_cast<float*>(workspace) + static_cast<std::size_t>(omp_get_thread_num()) * stride;
#pragma omp for schedule(static)
    for (std::int64_t block = 0; block < blocks; ++block) run_block(from, packed, to, block, scratch);
  });
}

void PanelConv::run_sample(const float* from, const float* packed, float* to, void* scratch) const {
  for (std::int64_t block = 0; block < pixel_blocks(); ++block)
    run_block(from, packed, to, block, static_cast<float*>(scratch));
}

}  // namespace deq::cpu
