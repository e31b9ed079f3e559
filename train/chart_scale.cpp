#include "train/chart_scale.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

#include "core/error.h"

namespace deq {

namespace {

constexpr double kMargin = 0.04;  // of the axis, on each side, so that no point lies on the frame
constexpr double kWantedTicks = 6;
// Decades outside are written as powers of ten.
constexpr int kSmallestPlainDecade = -3;
constexpr int kLargestPlainDecade = 4;

std::string number_text(const char* format, int digits, double value) {
  std::array<char, 64> buffer{};
  std::snprintf(buffer.data(), buffer.size(), format, digits, value);
  return buffer.data();
}

ChartRange widened_linear(ChartRange data) {
  if (data.high <= data.low) {
    const double half = data.low == 0 ? 1 : 0.1 * std::abs(data.low);
    return {data.low - half, data.high + half};
  }
  const double margin = kMargin * (data.high - data.low);
  // An axis that starts at zero keeps its zero in the corner.
  return {data.low == 0 ? 0 : data.low - margin, data.high == 0 ? 0 : data.high + margin};
}

ChartRange widened_log(ChartRange data) {
  if (data.high <= data.low) return {data.low / 2, data.high * 2};
  const double factor = std::pow(data.high / data.low, kMargin);
  return {data.low / factor, data.high * factor};
}

/// 1, 2 or 5 times a power of ten that divides `length` into about kWantedTicks parts.
double round_step(double length) {
  const double rough = length / kWantedTicks;
  const double power = std::pow(10.0, std::floor(std::log10(rough)));
  for (const double factor : {1.0, 2.0, 5.0})
    if (factor * power >= rough) return factor * power;
  return 10 * power;
}

}  // namespace

ChartScale::ChartScale(const ChartAxis& axis, ChartRange data)
    : is_log_(axis.is_log),
      range_(axis.range ? *axis.range
             : is_log_  ? widened_log(data)
                        : widened_linear(data)) {
  check(std::isfinite(range_.low) && std::isfinite(range_.high) && range_.low < range_.high, "chart", "axis '",
        axis.label, "' has the range ", range_.low, " to ", range_.high, ", expected an increasing pair");
  check(!is_log_ || range_.low > 0, "chart", "axis '", axis.label, "' is logarithmic but starts at ", range_.low);
}

double ChartScale::position(double value) const {
  if (is_log_) return std::log(value / range_.low) / std::log(range_.high / range_.low);
  return (value - range_.low) / (range_.high - range_.low);
}

std::vector<ChartTick> ChartScale::ticks() const { return is_log_ ? log_ticks() : linear_ticks(); }

std::vector<ChartTick> ChartScale::linear_ticks() const {
  const double step = round_step(range_.high - range_.low);
  const double largest = std::max(std::abs(range_.low), std::abs(range_.high));
  const bool is_plain = largest < 1e6 && step >= 1e-5;
  const int decimals = std::max(0, static_cast<int>(-std::floor(std::log10(step) + 1e-9)));
  std::vector<ChartTick> out;
  const double slack = 1e-9 * step;
  for (double k = std::ceil((range_.low - slack) / step); k * step <= range_.high + slack; ++k) {
    const double value = k == 0 ? 0 : k * step;  // no "-0"
    out.push_back({value, is_plain ? number_text("%.*f", decimals, value) : number_text("%.*g", 6, value), ""});
  }
  return out;
}

std::vector<ChartTick> ChartScale::log_ticks() const {
  constexpr double kSlack = 1e-9;
  const int first = static_cast<int>(std::floor(std::log10(range_.low) + kSlack));
  const int last = static_cast<int>(std::ceil(std::log10(range_.high) - kSlack));
  const double decades = std::log10(range_.high / range_.low);
  const int every = std::max(1, static_cast<int>(std::ceil(decades / 10)));
  const bool is_plain = first >= kSmallestPlainDecade && last <= kLargestPlainDecade + 1;
  std::vector<ChartTick> out;
  for (int decade = first; decade <= last; ++decade)
    for (int digit = 1; digit <= 9; ++digit) {
      const double value = digit * std::pow(10.0, decade);
      if (value < range_.low * (1 - kSlack) || value > range_.high * (1 + kSlack)) continue;
      const bool is_numbered = digit == 1 ? decade % every == 0 : decades < 2.5 && (digit == 2 || digit == 5);
      ChartTick tick{value, "", ""};
      if (is_numbered && (is_plain || digit != 1)) tick.text = number_text("%.*g", 6, value);
      if (is_numbered && !is_plain && digit == 1) tick = {value, "10", std::to_string(decade)};
      if (digit == 1 || every == 1) out.push_back(tick);
    }
  return out;
}

}  // namespace deq
