#include "data/digits.h"

#include <charconv>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "data/file.h"

namespace deq {
namespace {

constexpr std::size_t kPixels = 64;
constexpr int kMaxValue = 16;
constexpr std::string_view kHowToGet =
    "get optdigits.tra and optdigits.tes with `deq data fetch digits` (UCI optical digits)";

/// Comma-separated integers of one line.
std::vector<int> parse_line(std::string_view line, const std::string& where) {
  std::vector<int> values;
  const char* at = line.data();
  const char* const end = line.data() + line.size();
  while (at <= end) {
    int value = 0;
    const auto [next, error] = std::from_chars(at, end, value);
    require(error == std::errc{} && (next == end || *next == ','), where, "expected integers separated by commas");
    values.push_back(value);
    at = next + 1;
  }
  require(values.size() == kPixels + 1, where, "holds ", values.size(), " values, expected 64 pixels and a label");
  return values;
}

void append_line(ImageSet& set, std::string_view line, const std::string& where) {
  const auto values = parse_line(line, where);
  require(0 <= values.back() && values.back() < 10, where, "label ", values.back(), " is not 0 to 9");
  const auto pixels = set.append(values.back());
  for (std::size_t i = 0; i < kPixels; ++i) {
    require(0 <= values[i] && values[i] <= kMaxValue, where, "pixel ", values[i], " is not 0 to 16");
    pixels[i] = static_cast<std::uint8_t>((values[i] * 255 + kMaxValue / 2) / kMaxValue);
  }
}

}  // namespace

std::shared_ptr<const ImageSet> read_digits(const std::filesystem::path& directory, Split split) {
  const std::string name = split == Split::train ? "optdigits.tra" : "optdigits.tes";
  auto path = directory / name;
  if (!std::filesystem::exists(path)) path = directory / "digits" / name;
  require(std::filesystem::exists(path), path.string(), "no such file; ", kHowToGet);
  const auto bytes = read_file(path);
  std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  DatasetInfo info{.name = "digits",
                   .image_shape = {8, 8, 1},
                   .class_names = {kDigitClasses.begin(), kDigitClasses.end()},
                   // Measured on the train part.
                   .normalisation = {.mean = {0.3077F}, .std = {0.3773F}}};
  auto set = std::make_shared<ImageSet>(std::move(info));
  for (int line = 1; !text.empty(); ++line) {
    const auto end = std::min(text.find('\n'), text.size());
    std::string_view row = text.substr(0, end);
    if (row.ends_with('\r')) row.remove_suffix(1);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (!row.empty()) append_line(*set, row, concat(path.string(), ":", line));
  }
  require(set->size() > 0, path.string(), "holds no images; ", kHowToGet);
  return set;
}

}  // namespace deq
