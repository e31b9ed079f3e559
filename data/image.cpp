#include "data/image.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "data/file.h"
#include "data/stb.h"

namespace deq {
namespace {

constexpr std::size_t kRgb = 3;

/// Weights with which one result pixel sums input pixels first, first + 1, ...
struct Taps {
  int first = 0;
  std::vector<double> weights;
};

/// Triangle filter, one pixel wide when growing and one step wide when shrinking.
std::vector<Taps> triangle_taps(int from, int to) {
  const double step = static_cast<double>(from) / to;
  const double reach = std::max(step, 1.0);
  std::vector<Taps> taps(static_cast<std::size_t>(to));
  for (int i = 0; i < to; ++i) {
    Taps& tap = taps[static_cast<std::size_t>(i)];
    const double centre = (i + 0.5) * step - 0.5;
    tap.first = std::max(0, static_cast<int>(std::ceil(centre - reach)));
    const int last = std::min(from - 1, static_cast<int>(std::floor(centre + reach)));
    double sum = 0;
    for (int j = tap.first; j <= last; ++j) {
      tap.weights.push_back(std::max(0.0, 1 - std::abs(j - centre) / reach));
      sum += tap.weights.back();
    }
    for (double& weight : tap.weights) weight /= sum;
  }
  return taps;
}

}  // namespace

Image::Image(int rows, int columns) : height(rows), width(columns) {
  check(rows >= 0 && columns >= 0, "image", "size ", rows, " x ", columns);
  pixels.resize(static_cast<std::size_t>(rows) * static_cast<std::size_t>(columns) * kRgb);
}

std::span<std::uint8_t, 3> Image::at(int y, int x) {
  return std::span<std::uint8_t, 3>(
      pixels.data() +
          (static_cast<std::size_t>(y) * static_cast<std::size_t>(width) + static_cast<std::size_t>(x)) * kRgb,
      kRgb);
}

std::span<const std::uint8_t, 3> Image::at(int y, int x) const {
  return std::span<const std::uint8_t, 3>(
      pixels.data() +
          (static_cast<std::size_t>(y) * static_cast<std::size_t>(width) + static_cast<std::size_t>(x)) * kRgb,
      kRgb);
}

Image read_image(const std::filesystem::path& path) {
  const auto bytes = read_file(path);
  const RgbaPixels decoded = decode_rgba(bytes, path.string());
  Image image(decoded.height, decoded.width);
  for (std::size_t i = 0; i < image.pixels.size() / kRgb; ++i) {
    const unsigned alpha = decoded.data.get()[4 * i + 3];
    for (std::size_t c = 0; c < kRgb; ++c) {
      const unsigned over_white = decoded.data.get()[4 * i + c] * alpha + 255 * (255 - alpha);
      image.pixels[kRgb * i + c] = static_cast<std::uint8_t>((over_white + 127) / 255);
    }
  }
  return image;
}

void write_png(const std::filesystem::path& path, const Image& image) {
  write_file(path, encode_png(image.pixels, image.height, image.width));
}

Image resized(const Image& image, int height, int width) {
  check(image.height > 0 && image.width > 0 && height > 0 && width > 0, "resize", image.height, " x ", image.width,
        " to ", height, " x ", width);
  const auto rows = triangle_taps(image.height, height);
  const auto columns = triangle_taps(image.width, width);
  const auto out_width = static_cast<std::size_t>(width);
  std::vector<double> wide(static_cast<std::size_t>(image.height) * out_width * kRgb);
  for (int y = 0; y < image.height; ++y) {
    for (std::size_t x = 0; x < out_width; ++x) {
      double* sum = &wide[(static_cast<std::size_t>(y) * out_width + x) * kRgb];
      for (std::size_t k = 0; k < columns[x].weights.size(); ++k) {
        const auto pixel = image.at(y, columns[x].first + static_cast<int>(k));
        for (std::size_t c = 0; c < kRgb; ++c) sum[c] += columns[x].weights[k] * pixel[c];
      }
    }
  }
  Image out(height, width);
  const std::size_t row_values = out_width * kRgb;
  for (std::size_t y = 0; y < rows.size(); ++y) {
    for (std::size_t i = 0; i < row_values; ++i) {
      double sum = 0;
      for (std::size_t k = 0; k < rows[y].weights.size(); ++k)
        sum += rows[y].weights[k] * wide[(static_cast<std::size_t>(rows[y].first) + k) * row_values + i];
      out.pixels[y * row_values + i] = static_cast<std::uint8_t>(std::lround(std::clamp(sum, 0.0, 255.0)));
    }
  }
  return out;
}

Image fitted(const Image& image, int height, int width) {
  check(image.height > 0 && image.width > 0, "fit", "the image is empty");
  const double scale = std::max(static_cast<double>(height) / image.height, static_cast<double>(width) / image.width);
  const int scaled_height = std::max(height, static_cast<int>(std::lround(image.height * scale)));
  const int scaled_width = std::max(width, static_cast<int>(std::lround(image.width * scale)));
  if (scaled_height == image.height && scaled_width == image.width && image.height == height && image.width == width)
    return image;
  const Image scaled = resized(image, scaled_height, scaled_width);
  const int top = (scaled_height - height) / 2;
  const int left = (scaled_width - width) / 2;
  Image out(height, width);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) std::ranges::copy(scaled.at(top + y, left + x), out.at(y, x).begin());
  }
  return out;
}

}  // namespace deq
