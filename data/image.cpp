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
/// Of the `to` result pixels, those from `first` on, `count` of them.
std::vector<Taps> triangle_taps(int from, int to, int first, int count) {
  const double step = static_cast<double>(from) / to;
  const double reach = std::max(step, 1.0);
  std::vector<Taps> taps(static_cast<std::size_t>(count));
  for (int i = first; i < first + count; ++i) {
    Taps& tap = taps[static_cast<std::size_t>(i - first)];
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

/// What `action` returns, with BadImage for its RequestError.
template <class Action>
auto or_bad_image(Action&& action) {
  try {
    return action();
  } catch (const RequestError& error) {
    throw BadImage(error.what());
  }
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
  return decode_image(or_bad_image([&] { return read_file(path); }), path.string());
}

Image decode_image(std::span<const std::byte> bytes, const std::string& name) {
  const RgbaPixels decoded = or_bad_image([&] { return decode_rgba(bytes, name); });
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
  return resized_window(
      image, {.full_height = height, .full_width = width, .top = 0, .left = 0, .height = height, .width = width});
}

Image resized_window(const Image& image, const ScaledWindow& window) {
  check(image.height > 0 && image.width > 0 && window.height > 0 && window.width > 0, "resize", image.height, " x ",
        image.width, " to ", window.height, " x ", window.width);
  check(window.top >= 0 && window.left >= 0 && window.top + window.height <= window.full_height &&
            window.left + window.width <= window.full_width,
        "resize", "the part leaves the image of ", window.full_height, " x ", window.full_width);
  const auto rows = triangle_taps(image.height, window.full_height, window.top, window.height);
  const auto columns = triangle_taps(image.width, window.full_width, window.left, window.width);
  const auto out_width = static_cast<std::size_t>(window.width);
  const int first_row = rows.front().first;
  const int last_row = rows.back().first + static_cast<int>(rows.back().weights.size()) - 1;
  std::vector<double> wide(static_cast<std::size_t>(last_row - first_row + 1) * out_width * kRgb);
  for (int y = first_row; y <= last_row; ++y) {
    for (std::size_t x = 0; x < out_width; ++x) {
      double* sum = &wide[(static_cast<std::size_t>(y - first_row) * out_width + x) * kRgb];
      for (std::size_t k = 0; k < columns[x].weights.size(); ++k) {
        const auto pixel = image.at(y, columns[x].first + static_cast<int>(k));
        for (std::size_t c = 0; c < kRgb; ++c) sum[c] += columns[x].weights[k] * pixel[c];
      }
    }
  }
  Image out(window.height, window.width);
  const std::size_t row_values = out_width * kRgb;
  for (std::size_t y = 0; y < rows.size(); ++y) {
    const auto first = static_cast<std::size_t>(rows[y].first - first_row);
    for (std::size_t i = 0; i < row_values; ++i) {
      double sum = 0;
      for (std::size_t k = 0; k < rows[y].weights.size(); ++k)
        sum += rows[y].weights[k] * wide[(first + k) * row_values + i];
      out.pixels[y * row_values + i] = static_cast<std::uint8_t>(std::lround(std::clamp(sum, 0.0, 255.0)));
    }
  }
  return out;
}

Image cropped(const Image& image, int top, int left, int height, int width) {
  check(top >= 0 && left >= 0 && height > 0 && width > 0 && top + height <= image.height && left + width <= image.width,
        "crop", height, " x ", width, " at ", top, ", ", left, " leaves the image of ", image.height, " x ",
        image.width);
  Image out(height, width);
  for (int y = 0; y < height; ++y) {
    const auto* from = image.at(top + y, left).data();
    std::copy_n(from, static_cast<std::size_t>(width) * kRgb, out.at(y, 0).data());
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
  return cropped(scaled, top, left, height, width);
}

}  // namespace deq
