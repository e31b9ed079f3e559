#include <omp.h>

#include <cmath>
#include <vector>

#include "core/cpu/amx_conv.h"
#include "core/cpu/bfloat16_lanes.h"
#include "core/cpu/kernels.h"
#include "core/cpu/parallel.h"
#include "core/cpu/rounded_up.h"
#include "core/sample_kernel.h"

// The two convolutions of a residual block with the group norm and relu between them, in bf16. The first convolution
// leaves its sums, rounded, in the padded image that the second reads, and their moments beside it; norm and relu work
// there in place. Apart, the three launches write and read a value five times as large as the state in f32.

namespace deq::cpu {

namespace {

constexpr std::int64_t kBandStep = 4;  // rows of a band: groups of pixels are then the same however bands are cut

/// What lies between the convolutions, of one sample.
struct Middle {
  std::int64_t height, width, channels, groups;
  PaddedImage image;

  /// Channels in whole tiles.
  [[nodiscard]] std::int64_t columns() const { return rounded_up(channels, kTileColumns); }
  [[nodiscard]] Bfloat16* pixel(Bfloat16* padded, std::int64_t y, std::int64_t x) const {
    return padded + (y + image.pad) * image.row_elements() + (x + image.pad) * image.pitch;
  }
  /// Of kTileColumns channels from `channel` on, those that a pixel has room for.
  [[nodiscard]] std::int64_t lanes(std::int64_t channel) const { return std::min(kTileColumns, image.pitch - channel); }
  /// Whole tiles of a row, and groups of them (AmxConv::PixelGroup) in a sample.
  [[nodiscard]] std::int64_t whole_blocks() const { return width / kTileRows; }
  [[nodiscard]] std::int64_t whole_groups() const { return groups_of(height * whole_blocks()); }
  /// Groups of pixels: of whole tiles, then of those at the ends of rows.
  [[nodiscard]] std::int64_t pixel_groups() const {
    return whole_groups() + (width % kTileRows == 0 ? 0 : groups_of(height));
  }
  [[nodiscard]] std::int64_t index_of(const AmxConv::PixelGroup& group) const {
    if (group.pixels == kTileRows) return (group.y[0] * whole_blocks() + group.x[0] / kTileRows) / kTileBlocks;
    return whole_groups() + group.y[0] / kTileBlocks;
  }

 private:
  static std::int64_t groups_of(std::int64_t blocks) { return (blocks + kTileBlocks - 1) / kTileBlocks; }
};

/// Memory of a sample, cut from one piece.
struct Scratch {
  Bfloat16* image;        ///< x, padded
  Bfloat16* middle;       ///< padded
  float* moments;         ///< [pixel group][sum, sum of squares][columns]
  double* sums;           ///< [2][columns] moments of all pixels
  float *scale, *offset;  ///< [columns] y = relu(scale v + offset)
};

/// Rounds sums into the middle and keeps their moments.
class MiddleSink {
 public:
  static constexpr bool kHoldsWholeTiles = true;
  MiddleSink(const Middle& middle, const Scratch& scratch) : middle_(middle), scratch_(scratch) {
    for (std::int64_t i = 0; i < kTileBlocks; ++i) blocks_[i] = sums_ + i * kTileRows * kTileColumns;
  }

  AmxTiles::Sums sums(const AmxConv::PixelGroup&, std::int64_t) { return {blocks_.data(), kTileColumns}; }
  void take(const AmxConv::PixelGroup& group, std::int64_t channel) {
    Vec<16> total{}, squares{};
    const std::int64_t pitch = middle_.image.pitch, lanes = middle_.lanes(channel);
    for (std::int64_t i = 0; i < group.count; ++i) {
      const float* from = blocks_[i];
      Bfloat16* to = middle_.pixel(scratch_.middle, group.y[i], group.x[i]) + channel;
      for (std::int64_t row = 0; row < group.pixels; ++row, from += kTileColumns, to += pitch) {
        Vec<16> value;
        load<16>(value, from);
        total += value;
        squares += value * value;
        store_rounded(to, value, lanes);
      }
    }
    float* moments = scratch_.moments + middle_.index_of(group) * 2 * middle_.columns() + channel;
    store<16>(moments, total);
    store<16>(moments + middle_.columns(), squares);
  }

 private:
  const Middle& middle_;
  const Scratch& scratch_;
  alignas(64) float sums_[kTileBlocks * kTileRows * kTileColumns];
  std::array<float*, kTileBlocks> blocks_{};
};

/// Scale and offset of every channel from the moments of its group of channels. Channels beyond the last stay zero.
/// Moments are about zero: a mean so large that they cancel has cost the rounded values their differences already.
void spread_moments(const Middle& middle, double eps, const float* gamma, const float* beta, const Scratch& scratch) {
  const std::int64_t columns = middle.columns(), width = middle.channels / middle.groups;
  const double count = static_cast<double>(middle.height * middle.width) * static_cast<double>(width);
  double* const sums = scratch.sums;
  std::fill_n(sums, 2 * columns, 0.0);
  for (std::int64_t group = 0; group < middle.pixel_groups(); ++group) {
    const float* moments = scratch.moments + group * 2 * columns;
#pragma omp simd
    for (std::int64_t i = 0; i < 2 * columns; ++i) sums[i] += static_cast<double>(moments[i]);
  }
  std::fill_n(scratch.scale, columns, 0.0F);
  std::fill_n(scratch.offset, columns, 0.0F);
  for (std::int64_t first = 0; first < middle.channels; first += width) {
    double total = 0, squares = 0;
    for (std::int64_t c = first; c < first + width; ++c) total += sums[c], squares += sums[columns + c];
    const double mean = total / count, variance = std::max(0.0, squares / count - mean * mean);
    const double rstd = 1 / std::sqrt(variance + eps);
    for (std::int64_t c = first; c < first + width; ++c) {
      const double factor = gamma == nullptr ? rstd : rstd * static_cast<double>(gamma[c]);
      scratch.scale[c] = static_cast<float>(factor);
      scratch.offset[c] = static_cast<float>((beta == nullptr ? 0.0 : static_cast<double>(beta[c])) - mean * factor);
    }
  }
}

/// value = relu(scale value + offset) for 16 channels.
[[gnu::always_inline]] inline void normalise(Vec<16>& value, const float* scale, const float* offset) {
  Vec<16> factor, constant;
  load<16>(factor, scale);
  load<16>(constant, offset);
  value = value * factor + constant;
  value = value < Vec<16>{} ? Vec<16>{} : value;
}

/// relu(scale v + offset) for rows of the middle, in place.
void normalise_rows(const Middle& middle, AmxConv::Band rows, const Scratch& scratch) {
  const std::int64_t columns = middle.columns();
  for (std::int64_t y = rows.first; y < rows.last; ++y)
    for (std::int64_t x = 0; x < middle.width; ++x) {
      Bfloat16* pixel = middle.pixel(scratch.middle, y, x);
      std::int64_t c = 0;
      for (; c + 32 <= std::min(columns, middle.image.pitch); c += 32) {
        Vec<16> low, high;
        load_widened(low, high, pixel + c);
        normalise(low, scratch.scale + c, scratch.offset + c);
        normalise(high, scratch.scale + c + 16, scratch.offset + c + 16);
        store_rounded(pixel + c, low, high);
      }
      for (; c < columns; c += kTileColumns) {
        Vec<16> value;
        load_widened(value, pixel + c, middle.lanes(c));
        normalise(value, scratch.scale + c, scratch.offset + c);
        store_rounded(pixel + c, value, middle.lanes(c));
      }
      for (; c < middle.image.pitch; ++c) pixel[c] = {};
    }
}

ConvShape first_shape(const ConvBlock& op, const Shape& x, const Shape& first) { return shape_of(op.first, x, first); }

ConvShape second_shape(const ConvBlock& op, const Shape& x, const Shape& first, const Shape& second) {
  return shape_of(op.second, first_shape(op, x, first).result(), second);
}

class ConvBlockKernel final : public SampleKernel {
 public:
  ConvBlockKernel(const ConvBlock& op, const ConvShape& first, const ConvShape& second)
      : op_(op),
        first_shape_(first),
        second_shape_(second),
        first_(first, false),
        second_(second, false),
        middle_{second.height, second.width, second.in_channels, op.groups, second_.image()},
        threads_(threads_for_products(first.multiply_adds() + second.multiply_adds())) {}

  [[nodiscard]] std::size_t workspace_bytes() const override {
    return static_cast<std::size_t>(threads_) * sample_scratch_bytes();
  }
  void bind(std::span<const void* const> inputs, std::span<void* const> outputs, void* workspace) override {
    inputs_.assign(inputs.begin(), inputs.end());
    y_ = static_cast<float*>(outputs[0]);
    workspace_ = static_cast<std::byte*>(workspace);
  }
  void run() override {
    const std::int64_t batch = first_shape_.batch;
    const std::int64_t in = first_shape_.image().elements() / batch, out = second_shape_.result().elements() / batch;
    const auto* x = static_cast<const float*>(inputs_[0]);
    if (batch < threads_) {
      for (std::int64_t i = 0; i < batch; ++i) run_shared(x + i * in, y_ + i * out);
      return;
    }
    on_team(threads_, [&] {
      const std::size_t thread = static_cast<std::size_t>(omp_get_thread_num());
#pragma omp for schedule(static)
      for (std::int64_t i = 0; i < batch; ++i)
        run_alone(inputs_, x + i * in, y_ + i * out, workspace_ + thread * sample_scratch_bytes());
    });
  }

  [[nodiscard]] std::int64_t samples() const override { return first_shape_.batch; }
  [[nodiscard]] std::size_t sample_scratch_bytes() const override {
    return image_bytes() + middle_bytes() +
           static_cast<std::size_t>(2 * middle_.columns()) *
               (sizeof(double) + static_cast<std::size_t>(middle_.pixel_groups() + 1) * sizeof(float));
  }
  void run_sample(std::span<const void* const> inputs, std::span<void* const> outputs, void* scratch) override {
    run_alone(inputs, static_cast<const float*>(inputs[0]), static_cast<float*>(outputs[0]), scratch);
  }

 private:
  [[nodiscard]] std::size_t image_bytes() const {
    const std::int64_t rows = first_shape_.height + 2 * first_.image().pad;
    return aligned_bytes(first_.image().elements(rows));
  }
  [[nodiscard]] std::size_t middle_bytes() const {
    return aligned_bytes(middle_.image.elements(middle_.height + 2 * middle_.image.pad));
  }
  static std::size_t aligned_bytes(std::int64_t elements) {
    return static_cast<std::size_t>(rounded_up(elements * static_cast<std::int64_t>(sizeof(Bfloat16)), 64));
  }
  [[nodiscard]] Scratch cut(void* memory) const {
    auto* at = static_cast<std::byte*>(memory);
    const std::int64_t columns = middle_.columns();
    auto* sums = reinterpret_cast<double*>(at + image_bytes() + middle_bytes());
    auto* factors = reinterpret_cast<float*>(sums + 2 * columns);
    return {.image = reinterpret_cast<Bfloat16*>(at),
            .middle = reinterpret_cast<Bfloat16*>(at + image_bytes()),
            .moments = factors + 2 * columns,
            .sums = sums,
            .scale = factors,
            .offset = factors + columns};
  }

  void begin(const float* x, const Scratch& scratch) const {
    first_.image().round(x, -first_.image().pad, first_shape_.height + 2 * first_.image().pad, scratch.image);
    middle_.image.clear_border(scratch.middle);
  }
  void multiply_first(const void* packed, AmxConv::Band rows, const Scratch& scratch) const {
    MiddleSink sink(middle_, scratch);
    first_.multiply(scratch.image + rows.first * op_.first.stride * first_.image().row_elements(), packed, rows, sink);
  }
  void spread(std::span<const void* const> inputs, const Scratch& scratch) const {
    const auto* gamma = static_cast<const float*>(op_.affine ? inputs[5] : nullptr);
    const auto* beta = static_cast<const float*>(op_.affine ? inputs[6] : nullptr);
    spread_moments(middle_, op_.eps, gamma, beta, scratch);
  }
  void multiply_second(const void* packed, AmxConv::Band rows, const Scratch& scratch, float* y) const {
    second_.multiply(scratch.middle + rows.first * op_.second.stride * middle_.image.row_elements(), packed, rows, y);
  }

  /// A sample on the calling thread.
  void run_alone(std::span<const void* const> inputs, const float* x, float* y, void* memory) const {
    const Scratch scratch = cut(memory);
    begin(x, scratch);
    multiply_first(inputs[1], {0, middle_.height}, scratch);
    spread(inputs, scratch);
    normalise_rows(middle_, {0, middle_.height}, scratch);
    multiply_second(inputs[2], {0, second_shape_.out_height()}, scratch, y);
  }

  /// A sample by all threads: the same bits.
  void run_shared(const float* x, float* y) const {
    const Scratch scratch = cut(workspace_);
    const std::int64_t parts = threads_;
    const auto band = [parts](std::int64_t rows, std::int64_t part) {
      const std::int64_t length = rounded_up((rows + parts - 1) / parts, kBandStep);
      return AmxConv::Band{std::min(part * length, rows), std::min((part + 1) * length, rows)};
    };
    on_team(threads_, [&] {
#pragma omp single
      begin(x, scratch);
#pragma omp for schedule(static)
      for (std::int64_t part = 0; part < parts; ++part) multiply_first(inputs_[1], band(middle_.height, part), scratch);
#pragma omp single
      spread(inputs_, scratch);
#pragma omp for schedule(static)
      for (std::int64_t part = 0; part < parts; ++part) normalise_rows(middle_, band(middle_.height, part), scratch);
#pragma omp for schedule(static)
      for (std::int64_t part = 0; part < parts; ++part)
        multiply_second(inputs_[2], band(second_shape_.out_height(), part), scratch, y);
    });
  }

  ConvBlock op_;
  ConvShape first_shape_, second_shape_;
  AmxConv first_, second_;
  Middle middle_;
  std::int64_t threads_;
  std::vector<const void*> inputs_;
  float* y_ = nullptr;
  std::byte* workspace_ = nullptr;
};

}  // namespace

bool has_conv_block(const ConvBlock& block, const TensorType& x, const TensorType& first, const TensorType& second) {
  return x.dtype == DType::f32 && AmxConv::fits(first_shape(block, x.shape, first.shape), false) &&
         AmxConv::fits(second_shape(block, x.shape, first.shape, second.shape), false);
}

std::unique_ptr<Kernel> lower_conv_block(const KernelRequest& request) {
  const auto& op = std::get<ConvBlock>(request.op);
  const std::span<const TensorType> in = request.inputs;
  if (!has_conv_block(op, in[0], in[3], in[4])) no_kernel(request, "it has no tiles for these convolutions");
  return std::make_unique<ConvBlockKernel>(op, first_shape(op, in[0].shape, in[3].shape),
                                           second_shape(op, in[0].shape, in[3].shape, in[4].shape));
}

}  // namespace deq::cpu
