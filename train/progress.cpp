#include "train/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

#include "core/error.h"
#include "train/message_line.h"

namespace deq {

namespace {

constexpr std::chrono::milliseconds kBarPeriod{100};
constexpr std::chrono::milliseconds kLinePeriod{5000};
/// Share of the newest step in the average time of a step: follows a change of phase within about 20 steps.
constexpr double kAverageShare = 0.1;
constexpr int kBarCells = 24;

template <class... Values>
std::string formatted(const char* format, Values... values) {
  std::array<char, 96> buffer{};
  std::snprintf(buffer.data(), buffer.size(), format, values...);
  return buffer.data();
}

void print(const std::string& text) {
  std::fputs(text.c_str(), stderr);
  std::fflush(stderr);
}

std::string bar_of(double fraction) {
  const int filled = static_cast<int>(std::lround(std::clamp(fraction, 0.0, 1.0) * kBarCells));
  return concat('[', std::string(static_cast<std::size_t>(filled), '#'),
                std::string(static_cast<std::size_t>(kBarCells - filled), '.'), ']');
}

/// Columns of the terminal; 0 when unknown.
std::size_t terminal_columns() {
  winsize size{};
  return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

}  // namespace

ProgressStyle progress_style(bool is_quiet) {
  if (is_quiet) return ProgressStyle::none;
  return ::isatty(STDERR_FILENO) != 0 ? ProgressStyle::bar : ProgressStyle::lines;
}

std::string duration_text(double seconds) {
  const auto whole = static_cast<long long>(std::max(0.0, std::round(seconds)));
  if (whole >= 3600) return formatted("%lld:%02lld:%02lld", whole / 3600, whole / 60 % 60, whole % 60);
  return formatted("%lld:%02lld", whole / 60, whole % 60);
}

std::string progress_text(const ProgressState& state, double eta_s) {
  std::string out = formatted("%lld/%lld", static_cast<long long>(state.step), static_cast<long long>(state.total));
  if (!state.phase.empty()) out.append(1, ' ').append(state.phase);
  if (!(state.loss < 0)) out += formatted("  loss %.4f", state.loss);
  if (state.accuracy >= 0) out += formatted("  acc %.1f%%", 100 * state.accuracy);
  if (state.solver_steps >= 0) out += formatted("  solver %.1f steps", state.solver_steps);
  if (state.residual >= 0) out += formatted(" res %.1e", state.residual);
  if (state.spectral_radius >= 0) out += formatted("  radius %.2f", state.spectral_radius);
  if (state.images_per_s >= 0) out += formatted("  %.0f img/s", state.images_per_s);
  if (eta_s >= 0) out += "  ETA " + duration_text(eta_s);
  return out;
}

Progress::Progress(ProgressStyle style) : style_(style) {}

Progress::~Progress() { finish(); }

double Progress::remaining_seconds(const ProgressState& state, Clock::time_point now) {
  if (last_step_ >= 0 && state.step > last_step_) {
    const double elapsed = std::chrono::duration<double>(now - last_update_).count();
    const double newest = elapsed / static_cast<double>(state.step - last_step_);
    seconds_per_step_ += (seconds_per_step_ > 0 ? kAverageShare : 1.0) * (newest - seconds_per_step_);
  }
  last_step_ = state.step;
  last_update_ = now;
  return seconds_per_step_ > 0 ? seconds_per_step_ * static_cast<double>(state.total - state.step) : -1;
}

void Progress::update(const ProgressState& state) {
  if (style_ == ProgressStyle::none) return;
  const Clock::time_point now = Clock::now();
  const double eta_s = remaining_seconds(state, now);
  const auto period = style_ == ProgressStyle::bar ? kBarPeriod : kLinePeriod;
  const bool is_due = last_shown_step_ < 0 || now - last_shown_ >= period || state.step >= state.total;
  if (!is_due || state.step == last_shown_step_) return;
  last_shown_ = now;
  last_shown_step_ = state.step;
  draw(state, eta_s);
}

void Progress::draw(const ProgressState& state, double eta_s) {
  std::string text = progress_text(state, eta_s);
  if (style_ == ProgressStyle::lines) {
    print(text + "\n");
    return;
  }
  const double fraction = state.total > 0 ? static_cast<double>(state.step) / static_cast<double>(state.total) : 0;
  text = bar_of(fraction) + " " + text;
  // A line that wraps could not be drawn over.
  if (const std::size_t columns = terminal_columns(); columns > 1) text.resize(std::min(text.size(), columns - 1));
  print("\r\033[K" + text);
  has_open_line_ = true;
}

void Progress::note(std::string_view line) {
  if (style_ == ProgressStyle::none) return;
  print((has_open_line_ ? "\r\033[K" : "") + message_line(line) + "\n");
  has_open_line_ = false;
}

void Progress::finish() {
  if (has_open_line_) print("\n");
  has_open_line_ = false;
}

}  // namespace deq
